"""`python -m toyshop [api|worker|all]`."""

from servicekit.service import run
from toyshop.main import build

if __name__ == "__main__":
    run(build)
