"""`python -m booking [api|worker|all]`."""

from booking.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
