"""Pure time arithmetic: zones, weekly templates, recurrences, intervals, bitmaps, search. No I/O.

Instants are whole *epoch minutes* (minutes since 1970-01-01T00:00Z) wherever speed matters, and
aware datetimes at the edges; `scheduling.instants` converts. Spans are half-open, `(start, end)`.
"""
