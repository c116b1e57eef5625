"""Flags of unsupported detail: what an image says of it, and from where on a calibration calls it one."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.trust.seen_inputs import InputFacts, SeenInputs

RATE = 0.05
"""Share of images without invention that have a flag all the same."""
PROMISE = (
    "at most {rate:g} of images that hold no more invention than those of the calibration have a flag; no "
    "flag is no proof that nothing was invented; this"
)
"""Before ``pipeline.trust.calibration.CONDITION``."""


@dataclass(frozen=True, kw_only=True)
class FlagEvidence(InputFacts):
    """Of one image x restorer: the largest scores of its patches (``models.unsupported``)."""

    residual: float
    detail: float


@dataclass(frozen=True, kw_only=True)
class FlagBounds(SeenInputs):
    """From where on a patch is flagged, and of which images the rate of false alarms is said."""

    residual: float
    detail: float
    rate: float
    images: int
