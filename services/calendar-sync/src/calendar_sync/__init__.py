"""Calendars of practitioners, read and written."""
