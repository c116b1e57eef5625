"""Intervals about restored pixels: what an image says of them, and what a calibration makes of that.

Risk-controlling prediction sets: Bates et al. 2021, "Distribution-free, risk-controlling prediction sets";
on images: Angelopoulos et al. 2022, "Image-to-image regression with distribution-free uncertainty
quantification".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

SHARES = (*(step / 200 for step in range(41)), *(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 1.0)
"""Of an image's samples: how many may lie outside where ``ratios`` says how wide intervals must be."""
_NOISE_MARGIN = 1.05
_BRIGHTNESS_MARGIN = 0.05
_SATURATION_MARGIN = 0.001
_SPREAD_MARGIN = 1.05
PROMISE = (
    "over images, the mean share of samples outside restored +- half-width is at most {alpha:g}, for at "
    "least {certainty:g} of all calibrations; this"
)
"""Before ``pipeline.trust.calibration.CONDITION``."""


@dataclass(frozen=True)
class IntervalEvidence:
    """Of one image x restorer, over valid pixels; fractions of the value range unless they say otherwise."""

    method: str
    noise_level: float
    """Of the input, as estimated from it, whatever was told: in 1/255 of the range."""
    samples: int
    """Of the restored image."""
    brightness: float
    """Mean of the input."""
    saturated: float
    """Share of the input's samples at the ends of the range."""
    spread: float
    """Mean of what is scaled to half-widths."""
    ratios: tuple[float, ...] = ()
    """Where the truth is known: how many times the spread leaves each of ``SHARES`` outside, at most."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from ``to_json``."""
        fields = json.loads(text)
        return cls(**fields | {"ratios": tuple(fields["ratios"])})


@dataclass(frozen=True)
class IntervalBounds:
    """What a calibration says of intervals of one restorer, and of which images it says it."""

    method: str
    scale: float
    """Half-width over spread."""
    alpha: float
    """Mean share of samples outside."""
    delta: float
    """Share of calibrations that may miss that."""
    images: int
    bands: tuple[int, ...]
    dtypes: tuple[str, ...]
    samples: tuple[int, int]
    brightness: tuple[float, float]
    noise: tuple[float, float]
    saturated: float
    spread: tuple[float, float]
    held_out: float
    """Mean share outside of images that it had not seen, over random halves; -1 where those are too few."""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Back from plain values."""
        fields: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in record.items()
        }
        return cls(**fields)

    def refusal(self, evidence: IntervalEvidence, bands: int, dtype: str) -> str | None:
        """Why nothing is said of an image; a code, then words."""
        if bands not in self.bands:
            return f"BANDS: it has {bands}, the calibration {' or '.join(map(str, self.bands))}"
        if dtype not in self.dtypes:
            return f"DTYPE: it is {dtype}, the calibration {' or '.join(self.dtypes)}"
        if evidence.spread <= 0:
            return "NO_SPREAD: the restorer is nowhere unsure, which proves nothing"
        if not self.samples[0] <= evidence.samples <= self.samples[1]:
            low, high = self.samples
            return f"SIZE: {evidence.samples:,} samples, in the calibration {low:,} to {high:,}"
        return self._outside(evidence)

    def _outside(self, evidence: IntervalEvidence) -> str | None:
        """What was measured of it and not seen in the calibration."""
        if evidence.saturated > self.saturated + _SATURATION_MARGIN:
            return (
                f"SATURATED: {evidence.saturated:.1%} of its samples lie at the ends of the range, in the "
                f"calibration at most {self.saturated:.1%}"
            )
        low, high = self.brightness
        if not low - _BRIGHTNESS_MARGIN <= evidence.brightness <= high + _BRIGHTNESS_MARGIN:
            return f"BRIGHTNESS: {evidence.brightness:.2f}, in the calibration {low:.2f} to {high:.2f}"
        low, high = self.noise
        if not low / _NOISE_MARGIN <= evidence.noise_level <= high * _NOISE_MARGIN:
            return f"NOISE_LEVEL: {evidence.noise_level:.1f}/255, in the calibration {low:.1f} to {high:.1f}"
        low, high = self.spread
        if not low / _SPREAD_MARGIN <= evidence.spread <= high * _SPREAD_MARGIN:
            return f"SPREAD: {evidence.spread:.2g} on average, in the calibration {low:.2g} to {high:.2g}"
        return None
