"""Runs a system of stand-ins in the foreground: `python drive.py DATA PORT`, with `up`'s own code.

`--act-fails` and `--act-ends` do something once it is up, as `demo` and `bench` do.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from holdfast import supervisor
from holdfast.console import reporter
from holdfast.environment import Service
from holdfast.errors import HoldfastError
from holdfast.run import Options, module_command, run
from holdfast.system import Ready


async def act(ready: Ready) -> bool:
    """Uses the running system and says so; whether it fails or ends is the arguments' choice."""
    print(f"acting on {ready.gateway}", flush=True)
    if "--act-fails" in sys.argv:
        raise HoldfastError("a step of the story failed")
    return "--act-ends" not in sys.argv


if __name__ == "__main__":
    supervisor._ASK_EVERY = 0.3
    data, port = Path(sys.argv[1]), int(sys.argv[2])
    options = Options(
        data=data,
        port=port,
        sandbox=True,
        ready_file=data / "ready.json",
        services=[
            Service("standin-one", has_database=False),
            Service("standin-two", has_database=False),
        ],
        sandbox_command=module_command("standin_sandbox"),
        outside=dict(os.environ),
    )
    report = reporter(as_json="--json" in sys.argv)
    try:
        sys.exit(asyncio.run(run(options, report, act)))
    except HoldfastError as error:
        report.fail(str(error))
        sys.exit(1)
