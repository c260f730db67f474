"""Daily counts and the live auditor."""
