"""Tests of calendar-sync."""
