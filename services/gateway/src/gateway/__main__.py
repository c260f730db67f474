"""`python -m gateway`."""

from gateway.main import build
from servicekit.service import run

if __name__ == "__main__":
    run(build)
