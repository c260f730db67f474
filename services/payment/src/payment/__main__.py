"""`python -m payment [api|worker|all]`."""

from payment.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
