"""A doubtful image as a page shows it, and nothing of how its pictures were made."""

from __future__ import annotations

from dataclasses import dataclass

Named = tuple[str, str]
"""Dataset and key."""


@dataclass(frozen=True)
class DoubtPicture:
    """An image with its maps; the pictures are data URIs."""

    dataset: str
    key: str
    restored: str
    width: str | None
    """Half-widths, black to light yellow."""
    brightest: str
    """Half-width at the bright end, of 255."""
    flagged: str | None
    """The restored image, its flagged patches tinted; ``None`` where there are none."""
    flags: int
