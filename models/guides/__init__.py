"""Sharper images of a scene that guide a restoration: brought to its size, and matched to its bands."""
