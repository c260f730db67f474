"""`holdfast bench core`: how fast times are found and held, each figure beside its goal.

`measure_core` runs the measures of `MEASURES`; goals and figures are in `goals`. Shares of a floor are ratios of
stretches that take turns in one run, so that a machine that others work on too slows both sides.
"""

from .bench import MEASURES, measure_core

__all__ = ["MEASURES", "measure_core"]
