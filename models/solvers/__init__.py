"""Restorers that follow from a formula instead of from training: one method a file."""
