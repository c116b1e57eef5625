"""Receptive fields by interval arithmetic: which input samples an output sample is made of.

Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
Networks walk from their output to their input with a ``Window`` and so state their halo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Samples ``first`` to ``last`` of one axis, both included; all layers treat both axes alike.

    Each method answers: to know these samples after a layer, which are needed before it?
    """

    first: int
    last: int

    def before_convolution(
        self, kernel: int, stride: int = 1, *, padding: int | None = None, dilation: int = 1
    ) -> Window:
        """Before a convolution; padding as large as keeps the size where it is not given."""
        reach = dilation * (kernel - 1)
        padding = reach // 2 if padding is None else padding
        return Window(stride * self.first - padding, stride * self.last - padding + reach)

    def before_convolutions(self, count: int, kernel: int = 3) -> Window:
        """Before ``count`` convolutions that keep the size."""
        reach = count * (kernel // 2)
        return Window(self.first - reach, self.last + reach)

    def before_transposed_convolution(self, kernel: int, stride: int, padding: int) -> Window:
        """Before a transposed convolution, which writes ``kernel`` samples every ``stride``."""
        return Window(-((kernel - 1 - padding - self.first) // stride), (self.last + padding) // stride)

    def before_enlarging(self, factor: int) -> Window:
        """Before nearest-neighbour enlarging or a pixel shuffle."""
        return Window(self.first // factor, self.last // factor)

    def before_bilinear(self, factor: int) -> Window:
        """Before bilinear enlarging with half-pixel centres."""
        # Sample i lies at (i + 1/2) / factor - 1/2 and mixes the two samples around that place.
        first = (2 * self.first + 1 - factor) // (2 * factor)
        last = -((factor - 2 * self.last - 1) // (2 * factor))
        return Window(first, last)

    def before_unshuffle(self, factor: int) -> Window:
        """Before a pixel unshuffle or a convolution whose kernel is its stride."""
        return Window(self.first * factor, self.last * factor + factor - 1)

    def before_attention(self, size: int, shift: int = 0) -> Window:
        """Before attention within windows of ``size`` samples, the first of which begins at ``shift``."""
        first = (self.first - shift) // size * size + shift
        last = (self.last - shift) // size * size + shift + size - 1
        return Window(first, last)

    def __or__(self, other: Window) -> Window:
        return Window(min(self.first, other.first), max(self.last, other.last))


def halo_of(needed: Callable[[Window], Window], *, scale: int = 1, multiple_of: int = 1) -> int:
    """How far beyond an input pixel the network looks to make the ``scale`` output pixels at its place.

    ``needed`` walks a window from the network's output to its input. What a strided network looks at
    depends on the place in its grid, so that the farthest over one period is meant.
    """
    distance = 0
    for place in range(multiple_of):
        window = needed(Window(scale * place, scale * place + scale - 1))
        distance = max(distance, place - window.first, window.last - place)
    return distance
