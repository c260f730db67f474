"""`python -m calendar_sync [api|worker|all]`."""

from calendar_sync.main import build
from servicekit.service import run

run(build)
