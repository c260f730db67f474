"""`python -m identity [api|worker|all]`."""

from identity.main import build
from servicekit.service import run

run(build)
