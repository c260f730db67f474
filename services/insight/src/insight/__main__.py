"""`python -m insight [api|worker|all]`."""

from insight.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
