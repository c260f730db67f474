"""`holdfast verify`: a scripted end-to-end check of any running deployment."""
