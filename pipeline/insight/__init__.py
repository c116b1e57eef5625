"""Station: why one image was restored as it was."""
