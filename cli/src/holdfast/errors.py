"""Failures of the command line: one sentence for a person, exit code 1."""

from __future__ import annotations


class HoldfastError(Exception):
    """What is wrong, what was not changed and what to do, in one sentence."""


class NotRunning(HoldfastError):
    """No running system was found where it was looked for."""


class AlreadyUp(HoldfastError):
    """Another `holdfast up` works on the same data."""


class PartFailed(HoldfastError):
    """A part of the system could not be started."""
