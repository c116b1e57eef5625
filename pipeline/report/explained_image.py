"""An explained image as a page shows it: pictures, facts, and nothing of how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """One picture."""

    title: str
    under: str
    text: str
    uri: str
    box: tuple[float, float, float, float] | None = None
    """The region's top, left, height and width in per cent."""


@dataclass(frozen=True)
class ExplainedImage:
    """One image under one restorer, ready for a page."""

    title: str
    pictures: Sequence[Shown]
    sheet: Shown | None
    facts: Sequence[tuple[str, str]]
    layers: Sequence[str]
    note: str
