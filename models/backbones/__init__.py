"""Networks that classify photographs, up to the features that perceptual metrics compare; weights are the
user's own files."""
