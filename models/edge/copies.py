"""Copies of the channels whose rounding costs most, so that int8 has finer steps for them.

A channel that is there n times, each time lifted by another part of a step, has steps n times as fine: the
mean of round(x + (j - (n - 1) / 2) / n) over j is x rounded to parts of n. The place of a copy is that of a
channel whose silence costs less than the copy gains, so that layers stay as wide as they are. Where a network
carries the image itself through its layers, the few channels that do so make nearly all of what int8 loses.

Shapes: I channels, O filters, h and w sides of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.edge.ranges import Range

_MOST = 8
"""Copies of a channel."""
_LEAST_GAIN = 0.005
"""Of all that rounding costs: a copy of less is not made."""


@dataclass(frozen=True)
class Copies:
    """Which channels of some features are copies of others."""

    sources_I: Tensor
    """For each channel the one that it is a copy of; itself where it is none."""
    counts_I: Tensor
    """Of its source, itself among them."""
    lifts_I: Tensor
    """Added to each, in units of the features: less than half a step, which makes nothing out of zero."""

    def of_features(self, features_1IHW: Tensor) -> Tensor:
        """As the maker gives them once it has the rows of ``of_maker``, but for what rounds to zero."""
        return (features_1IHW[:, self.sources_I] + self.lifts_I[:, None, None]).clamp(min=0)

    def of_maker(self, rows_O: Tensor) -> Tensor:
        """Its weights, steps or whatever else there is of each filter: the same for all copies."""
        return rows_O[self.sources_I]

    def of_bias(self, bias_O: Tensor) -> Tensor:
        """The maker's."""
        return self.of_maker(bias_O) + self.lifts_I

    def of_reader(self, weights_OIhw: Tensor) -> Tensor:
        """Its weights: a share for each copy."""
        return weights_OIhw[:, self.sources_I] / self.counts_I[:, None, None]


def find_copies(seen: Sequence[Tensor], sensitivity_I: Tensor, reads: Range) -> Copies | None:
    """Of features (1IHW each, none negative) that are rounded in this range; ``None`` where none pays.

    ``sensitivity_I`` is what a change of each channel does (``models.edge.sensitivity``).
    """
    values_IP = torch.cat([each[0].flatten(1) for each in seen], 1)
    errors_I = (reads.rounded(values_IP) - values_IP).square().mean(1) * sensitivity_I
    spoken_I, least = values_IP.var(1) * sensitivity_I, _LEAST_GAIN * float(errors_I.sum())
    counts_I = torch.ones(len(errors_I))
    sources_I = torch.arange(len(errors_I))
    for place in spoken_I.argsort().tolist():
        gains_I = errors_I * (1 / counts_I.square() - 1 / (counts_I + 1).square())
        gains_I[counts_I >= _MOST] = 0
        source = int(gains_I.argmax())
        if float(gains_I[source]) <= max(least, float(spoken_I[place])):
            break
        if place == source or counts_I[place] > 1:
            continue
        sources_I[place], errors_I[place] = source, 0
        counts_I[source] += 1
    if not (counts_I > 1).any():
        return None
    lifts_I = torch.zeros_like(counts_I)
    for source in (counts_I > 1).nonzero()[:, 0].tolist():
        places = (sources_I == source).nonzero()[:, 0]
        parts = torch.arange(len(places)) - (len(places) - 1) / 2
        lifts_I[places] = parts / len(places) * float(reads.step)
    return Copies(sources_I, counts_I[sources_I], lifts_I)
