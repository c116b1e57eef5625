"""Intervals about restored pixels: what an image says of them, and what a calibration makes of that.

Risk-controlling prediction sets: Bates et al. 2021, "Distribution-free, risk-controlling prediction sets";
on images: Angelopoulos et al. 2022, "Image-to-image regression with distribution-free uncertainty
quantification".
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.trust.seen_inputs import InputFacts, SeenInputs

SHARES = (*(step / 200 for step in range(41)), *(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 1.0)
"""Of an image's samples: how many may lie outside where ``ratios`` says how wide intervals must be."""
_SPREAD_MARGIN = 1.05
PROMISE = (
    "over images, the mean share of samples outside restored ± half-width is at most {alpha:g}, for at "
    "least {certainty:g} of all calibrations; this"
)
"""Before ``pipeline.trust.calibration.CONDITION``."""


@dataclass(frozen=True, kw_only=True)
class IntervalEvidence(InputFacts):
    """Of one image x restorer, over valid pixels."""

    method: str
    spread: float
    """Mean of what is scaled to half-widths, a fraction of the value range."""
    ratios: tuple[float, ...] = ()
    """Where the truth is known: how many times the spread leaves each of ``SHARES`` outside, at most."""


@dataclass(frozen=True, kw_only=True)
class IntervalBounds(SeenInputs):
    """What a calibration says of intervals of one restorer, and of which images it says it."""

    method: str
    scale: float
    """Half-width over spread."""
    alpha: float
    """Mean share of samples outside."""
    delta: float
    """Share of calibrations that may miss that."""
    images: int
    spread: tuple[float, float]
    held_out: float
    """Mean share outside of images that it had not seen, over random halves; -1 where those are too few."""

    def refusal(self, evidence: IntervalEvidence, bands: int, dtype: str) -> str | None:
        """Why nothing is said of an image; a code, then words."""
        if evidence.spread <= 0:
            return "NO_SPREAD: the restorer is nowhere unsure, which proves nothing"
        low, high = self.spread
        if found := self.outside(evidence, bands, dtype):
            return found
        if not low / _SPREAD_MARGIN <= evidence.spread <= high * _SPREAD_MARGIN:
            return f"SPREAD: {evidence.spread:.2g} on average, in the calibration {low:.2g} to {high:.2g}"
        return None
