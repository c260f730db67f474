"""Resources, offerings, schedules and the free times that can be offered."""
