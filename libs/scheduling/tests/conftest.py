"""The oracle is a module beside the tests; the sweep, a program of its own, imports it too."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
