"""Shipped weights fitted to an archive without clean images, and undone where that did not help."""
