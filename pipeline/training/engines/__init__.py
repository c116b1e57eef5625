"""Where steps run: in this process, or on the workers of Ray Train."""
