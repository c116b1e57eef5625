"""Channels of a wide range in two halves, so that the steps of int8 are finer for all that share them.

The range of a layer's features is that of its largest channels, which say the most too. x is taken as
min(x, c) and relu(x - c): two channels whose range ends at c. The place of the second is that of a channel
that says next to nothing to the layer that reads it. So the layers stay as wide as they are. After "outlier
channel splitting" (Zhao et al., "Improving Neural Network Quantization without Retraining using Outlier
Channel Splitting", ICML 2019), which halves the values and makes the layers wider.

Shapes: I channels, J of them that are split; O filters, h and w sides of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Halves:
    """Which channels of some features are split, and where."""

    split_J: Tensor
    places_J: Tensor
    """Of the upper halves: channels that are left out for them."""
    at: float
    """Where the lower half ends, in units of the features."""

    def of_features(self, features_1IHW: Tensor) -> Tensor:
        """As the maker gives them once it has the rows of ``of_maker``, cut where int8 cuts them."""
        halved_1IHW = features_1IHW.clone()
        whole_1JHW = features_1IHW[:, self.split_J]
        halved_1IHW[:, self.split_J] = whole_1JHW.clamp(max=self.at)
        halved_1IHW[:, self.places_J] = (whole_1JHW - self.at).clamp(0, self.at)
        return halved_1IHW

    def of_maker(self, rows_O: Tensor) -> Tensor:
        """Its weights, steps or whatever else there is of each filter: the same for both halves."""
        rows_O = rows_O.clone()
        rows_O[self.places_J] = rows_O[self.split_J]
        return rows_O

    def of_bias(self, bias_O: Tensor) -> Tensor:
        """The maker's: ReLU leaves what is above ``at``."""
        bias_O = self.of_maker(bias_O)
        bias_O[self.places_J] -= self.at
        return bias_O

    def of_reader(self, weights_OIhw: Tensor) -> Tensor:
        """Its weights: the same for both halves."""
        return self.of_maker(weights_OIhw.transpose(0, 1)).transpose(0, 1)


def find_halves(seen: Sequence[Tensor], weights_OIhw: Tensor, steps: int) -> Halves | None:
    """As many as cost least in what the reader makes, where its features (1IHW each, none negative) are
    rounded to so many steps: the more are split, the finer these are, and the more others are left out.
    ``None`` where whole ones do best.
    """
    values_IP = torch.cat([each[0].flatten(1) for each in seen], 1)
    highest_I, heard_I = values_IP.amax(1), weights_OIhw.square().sum((0, 2, 3))
    spoken_I = values_IP.var(1) * heard_I
    by_height_I, by_words_I = highest_I.argsort(descending=True), spoken_I.argsort()
    top = float(highest_I.max())
    best, found = (top / steps) ** 2 / 12 * float(heard_I.sum()), None
    for count in range(1, len(highest_I) // 2):
        at = max(float(highest_I[by_height_I[count]]), top / 2)
        split_J = by_height_I[:count][highest_I[by_height_I[:count]] > at]
        if len(split_J) < count:
            break
        places_J = by_words_I[~torch.isin(by_words_I, split_J)][:count]
        cost = (at / steps) ** 2 / 12 * float(heard_I.sum()) + float(spoken_I[places_J].sum())
        if cost < best:
            best, found = cost, Halves(split_J, places_J, at)
    return found
