"""Imports that every worker needs, done as its process comes up and not when its first unit arrives."""

from __future__ import annotations


def warm_up() -> None:
    """Takes a second or two; the driver plans meanwhile."""
    import pipeline.worker  # noqa: F401
