"""NIfTI: volumes whose header, affine and extensions go along."""
