"""Files of several frames: every page an image."""
