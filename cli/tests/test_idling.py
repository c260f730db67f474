"""What a part costs."""

import subprocess
import sys

from holdfast.idling import measure_idle


def test_a_busy_part_is_told_from_an_idle_one_and_a_gone_one_costs_nothing() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    calm = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    try:
        costs = measure_idle({"busy": busy.pid, "calm": calm.pid, "gone": gone.pid}, 0.5)
    finally:
        for process in (busy, calm):
            process.kill()
            process.wait()
    by_part = {cost.part: cost for cost in costs}
    assert costs[0].part == "busy"
    assert by_part["busy"].cpu_percent > 10
    assert by_part["calm"].resident_mb > 1
    assert (by_part["gone"].cpu_percent, by_part["gone"].resident_mb) == (0, 0)
