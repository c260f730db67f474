"""The oracle is a module beside the tests; the sweep, a program of its own, imports it too."""

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)


def pytest_configure(config: pytest.Config) -> None:
    """So that the folder can be tested by itself too."""
    config.addinivalue_line("markers", "long: takes minutes")
