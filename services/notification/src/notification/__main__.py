"""`python -m notification [api|worker|all]`."""

from notification.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
