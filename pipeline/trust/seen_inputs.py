"""Which inputs a calibration has seen, whatever it bounds: outside it says nothing, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from pipeline.trust.evidence import Evidence

_NOISE_MARGIN = 1.05
"""How far outside the calibration's noise levels an input may lie: an estimate's own width, as a factor."""
_BRIGHTNESS_MARGIN = 0.05
_SATURATION_MARGIN = 0.001


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """Of one input, over valid pixels; fractions of the value range unless they say otherwise."""

    noise_level: float
    """As estimated from it, whatever was told: in 1/255 of the range."""
    samples: int
    """Of the restored image."""
    brightness: float
    """Mean."""
    saturated: float
    """Share of samples at the ends of the range."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from ``to_json``."""
        return cls(**_fields(json.loads(text)))


@dataclass(frozen=True, kw_only=True)
class SeenInputs:
    """The span of a calibration's inputs."""

    bands: tuple[int, ...]
    dtypes: tuple[str, ...]
    samples: tuple[int, int]
    brightness: tuple[float, float]
    noise: tuple[float, float]
    saturated: float

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Back from plain values."""
        return cls(**_fields(record))

    def outside(self, facts: InputFacts | Evidence, bands: int, dtype: str) -> str | None:
        """Why the calibration says nothing of an input; a code, then words."""
        if bands not in self.bands:
            return f"BANDS: it has {bands}, the calibration {' or '.join(map(str, self.bands))}"
        if dtype not in self.dtypes:
            return f"DTYPE: it is {dtype}, the calibration {' or '.join(self.dtypes)}"
        if not self.samples[0] <= facts.samples <= self.samples[1]:
            low, high = self.samples
            return f"SIZE: {facts.samples:,} samples, in the calibration {low:,} to {high:,}"
        if facts.saturated > self.saturated + _SATURATION_MARGIN:
            return (
                f"SATURATED: {facts.saturated:.1%} of its samples lie at the ends of the range, in the "
                f"calibration at most {self.saturated:.1%}; calibrate on noise that is rounded and clipped"
            )
        dark, bright = self.brightness
        if not dark - _BRIGHTNESS_MARGIN <= facts.brightness <= bright + _BRIGHTNESS_MARGIN:
            ends = f"{dark:.2f} to {bright:.2f}"
            return f"BRIGHTNESS: {facts.brightness:.2f} on average, in the calibration {ends}"
        quiet, loud = self.noise
        if not quiet / _NOISE_MARGIN <= facts.noise_level <= loud * _NOISE_MARGIN:
            return f"NOISE_LEVEL: {facts.noise_level:.1f}/255, in the calibration {quiet:.1f} to {loud:.1f}"
        return None


def seen_of(
    records: Sequence[Mapping[str, Any]], facts: Sequence[InputFacts] | Sequence[Evidence]
) -> dict[str, Any]:
    """The fields of ``SeenInputs``; records with ``channels`` and ``dtype``, and the facts of each."""
    return {
        "bands": tuple(sorted({each["channels"] for each in records})),
        "dtypes": tuple(sorted({each["dtype"] for each in records})),
        "samples": (min(each.samples for each in facts), max(each.samples for each in facts)),
        "brightness": span([each.brightness for each in facts]),
        "noise": span([each.noise_level for each in facts]),
        "saturated": max(each.saturated for each in facts),
    }


def span(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest."""
    return min(values), max(values)


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Fields out of JSON, whose lists are tuples here."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in record.items()}
