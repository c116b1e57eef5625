"""What is known of images as they were found: their holes, and what blurred them."""
