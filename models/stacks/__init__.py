"""Several frames of one scene at once: moved, registered, aligned."""
