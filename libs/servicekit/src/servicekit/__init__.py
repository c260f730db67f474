"""What every Holdfast service does the same way."""
