"""Scenes larger than memory: cut into strips, restored panel by panel, assembled into one file."""
