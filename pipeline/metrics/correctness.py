"""How much of a restored image is improvement, omission and hallucination: its place between input and
reference.

The three shares of opensr-test (Aybar et al. 2024, "A comprehensive benchmark for optical remote sensing
image super-resolution", IEEE GRSL 21), by its normalised difference at each pixel: a pixel that comes nearer
the reference is improved, one that stays at the input omits what is missing, one that is far from both is
invented.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pipeline.metrics.base import FULL_RANGE, MetricInputs, MetricProtocol

_LAMBDA = 0.05
_TEMPERATURE = 0.25
_LEAST = 0.1
"""Normalised difference that at least one of the three distances exceeds where a pixel counts."""
_EPSILON = 1e-8
_FORMULA = (
    "d(x, y) = mean over channels of |x - y| / |x + y + 1e-8|; I = d(restored, reference) / d(input, "
    "reference), O = d(restored, input) / d(input, reference), H = I + O - 1; distances I + O (1 - exp(-0.05 "
    "H)) to improvement, O + I (1 - exp(-0.05 H)) to omission, exp(-0.05 I O) to hallucination; softmin at "
    "temperature 0.25; mean over pixels where one of the three d is above 0.1. The input is enlarged by "
    "bilinear interpolation; nothing is harmonised or shifted before"
)


@dataclass(frozen=True)
class _Share:
    """One of the three shares."""

    place: ClassVar[int]

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; ``reference`` holds its channels and behind them those of the input."""
        return shares(restored_BCHW, reference_BCHW, valid_B1HW)[:, self.place]


def _protocol(name: str, meaning: str, higher_is_better: bool, best: float) -> MetricProtocol:
    return MetricProtocol(
        name=name,
        formula=f"share of {meaning}; {_FORMULA}",
        colour="all channels at once, each pixel's mean difference",
        border="scale",
        data_range=f"none: ratios; {FULL_RANGE}",
        unit="1",
        higher_is_better=higher_is_better,
        best=best,
        source="Aybar et al., IEEE GRSL 21, 2024; numbers of the authors' code, opensr-test 1.3.3 (MIT)",
        pair=MetricInputs.BOTH,
    )


_E = float(torch.exp(torch.tensor(-1 / _TEMPERATURE, dtype=torch.float64)))
_NONE, _ALL = _E / (1 + 2 * _E), 1 / (1 + 2 * _E)
"""What the softmin makes of distances of 1, 1 and 0, those of an image that is its reference."""


@dataclass(frozen=True)
class Improvement(_Share):
    """Pixels nearer the reference than the input is."""

    place: ClassVar[int] = 0
    protocol: ClassVar[MetricProtocol] = _protocol("improvement", "improvement", True, _ALL)


@dataclass(frozen=True)
class Omission(_Share):
    """Pixels that stay at the input."""

    place: ClassVar[int] = 1
    protocol: ClassVar[MetricProtocol] = _protocol("omission", "omission", False, _NONE)


@dataclass(frozen=True)
class Hallucination(_Share):
    """Pixels far from input and reference."""

    place: ClassVar[int] = 2
    protocol: ClassVar[MetricProtocol] = _protocol("hallucination", "hallucination", False, _NONE)


def shares(restored_BCHW: Tensor, both_BDHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    """(B, 3) float64: NaN where no pixel counts."""
    reference, given = (each.double() for each in both_BDHW.chunk(2, dim=1))
    restored = restored_BCHW.double()
    reference_distance = _distance(given, reference)
    improvement, omission = _distance(restored, reference), _distance(restored, given)
    counts = torch.stack([reference_distance, improvement, omission]).amax(dim=0) > _LEAST
    if valid_B1HW is not None:
        counts &= valid_B1HW[:, 0].bool()
    share = _softmin(improvement / reference_distance, omission / reference_distance)
    counts = counts & share.isfinite().all(dim=0)
    total_3B = torch.where(counts, share, 0.0).sum(dim=(-2, -1))
    return (total_3B / counts.sum(dim=(-2, -1))).T


def _distance(first_BCHW: Tensor, second_BCHW: Tensor) -> Tensor:
    """BHW."""
    return ((first_BCHW - second_BCHW).abs() / (first_BCHW + second_BCHW + _EPSILON).abs()).mean(dim=1)


def _softmin(improvement: Tensor, omission: Tensor) -> Tensor:
    excess = 1 - torch.exp(-_LAMBDA * (improvement + omission - 1))
    distances = torch.stack(
        [
            improvement + omission * excess,
            omission + improvement * excess,
            torch.exp(-_LAMBDA * improvement * omission),
        ]
    )
    weights = torch.exp(-distances / _TEMPERATURE)
    return weights / weights.sum(dim=0)
