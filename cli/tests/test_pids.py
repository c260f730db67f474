"""What is recorded of a process, so that a later start can end it and nothing else."""

import subprocess
import sys
from pathlib import Path

from holdfast.pids import PidFile, read


def test_a_process_is_found_again_however_early_it_was_recorded(tmp_path: Path) -> None:
    """In the instant of its exec a process shows no command line: what is recorded then must still name it."""
    record = PidFile(tmp_path / "pids.json")
    sleepers = []
    try:
        for number in range(40):
            command = [sys.executable, "-c", "import time; time.sleep(30)"]
            sleepers.append(subprocess.Popen(command, start_new_session=True))
            record.record(str(number), sleepers[-1].pid)
        lost = [part for part, recorded in read(tmp_path / "pids.json").items() if recorded.find() is None]
        assert lost == []
    finally:
        for sleeper in sleepers:
            sleeper.kill()
        for sleeper in sleepers:
            sleeper.wait()
