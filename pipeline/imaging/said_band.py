"""What is said of one band of an image beside its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SaidBand:
    """One band; what is not said has the value that says nothing."""

    nodata: str = ""
    """As a text, ``nan`` too."""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
