"""Numbers with their nouns, for messages."""

from __future__ import annotations


def number_of(count: int, noun: str, plural: str = "") -> str:
    """``1 image``, ``1,234 images``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"
