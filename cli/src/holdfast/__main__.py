"""`python -m holdfast` is `holdfast`."""

from .main import main

main()
