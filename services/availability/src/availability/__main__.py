"""`python -m availability [api|worker|all]`."""

from availability.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
