"""Zarr hierarchies, of version 2 and 3: arrays of which two axes are those of an image."""
