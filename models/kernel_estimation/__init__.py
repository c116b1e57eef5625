"""What blurred an image, found from the image alone."""
