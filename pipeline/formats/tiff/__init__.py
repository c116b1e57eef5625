"""Plain TIFF."""
