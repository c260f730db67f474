"""A service that only says how it is. `python -m standin_one all`, told by its environment like a real one.

Files in STANDIN_RULES steer it: `<name>.dead` makes it end at once, `<name>.deaf` makes it not answer, and
`<name>.stubborn` makes it ignore SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType


def serve(name: str) -> None:
    """Serve /health/live and /health/ready until told to end."""
    rules = Path(os.environ["STANDIN_RULES"])
    if (rules / f"{name}.dead").exists():
        print(f"{name} will not start today", flush=True)
        sys.exit(3)
    # A child of its own, as a service with a second process has.
    child = subprocess.Popen(["sleep", "300"])
    (rules / f"{name}.child").write_text(str(child.pid))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if (rules / f"{name}.deaf").exists():
                time.sleep(1)
                self.send_response(503)
            else:
                self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    def end(number: int, frame: FrameType | None) -> None:
        if not (rules / f"{name}.stubborn").exists():
            child.kill()
            os._exit(0)

    signal.signal(signal.SIGTERM, end)
    port = int(os.environ[f"{name.upper()}_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
