"""Outside APIs."""
