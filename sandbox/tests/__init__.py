"""Tests of the sandbox's pure parts; the whole process is tested in tests/contract."""
