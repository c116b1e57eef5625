"""NIfTI volumes."""
