"""The public API, the live socket and the pages."""
