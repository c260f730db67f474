"""A toy service, as small as one can be."""
