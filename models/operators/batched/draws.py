"""Where a batch's random numbers come from: each sample has draws of its own, whatever batch it is in.

Parameters (kernels, masks, chains) come from a generator of the sample on the CPU. Values of pixels come from
it too (``HostDraws``), and are then those that the sample alone would draw; or by counters, on the device of
the images (``CounterDraws``): the same distributions, other numbers, and nothing crosses the bus.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Generator, Tensor

from models.operators.batched.batch import Batch
from models.operators.batched.deviates import gamma_deviates, normal_deviates, poisson_deviates
from models.operators.batched.philox import Words, philox, unit


class Draws(Protocol):
    """Fields of random values, BCHW like the images of a batch; ``select`` gives those of some samples."""

    def generator(self, index: int) -> Generator:
        """Of one sample, on the CPU."""
        ...

    def select(self, index: Sequence[int]) -> Draws:
        """The draws of some samples; what they take is taken from these."""
        ...

    def normal(self, batch: Batch) -> Tensor:
        """Standard normal."""
        ...

    def uniform(self, batch: Batch) -> Tensor:
        """In [0, 1)."""
        ...

    def poisson(self, rates: Batch) -> Tensor:
        """Counts with these non-negative means."""
        ...

    def gamma(self, batch: Batch, shapes: Sequence[float]) -> Tensor:
        """Of each sample's shape parameter, scale 1."""
        ...


class HostDraws:
    """From generators on the CPU: equal to what each sample draws alone."""

    def __init__(self, generators: Sequence[Generator]) -> None:
        self._generators = list(generators)

    def generator(self, index: int) -> Generator:
        """Of one sample."""
        return self._generators[index]

    def select(self, index: Sequence[int]) -> HostDraws:
        """The same generators."""
        return HostDraws([self._generators[each] for each in index])

    def normal(self, batch: Batch) -> Tensor:
        """Standard normal."""
        return self._each(batch, torch.randn)

    def uniform(self, batch: Batch) -> Tensor:
        """In [0, 1)."""
        return self._each(batch, torch.rand)

    def poisson(self, rates: Batch) -> Tensor:
        """Counts with these non-negative means."""
        own = iter(Batch(rates.image_BCHW.cpu().float(), rates.sizes).images())

        def drawn(shape: Sequence[int], generator: Generator) -> Tensor:
            return torch.poisson(next(own)[0], generator=generator)

        return self._each(rates, drawn)

    def gamma(self, batch: Batch, shapes: Sequence[float]) -> Tensor:
        """Of each sample's shape parameter."""
        own = iter(shapes)

        def drawn(shape: Sequence[int], generator: Generator) -> Tensor:
            return torch._standard_gamma(torch.full(tuple(shape), float(next(own))), generator=generator)

        return self._each(batch, drawn)

    def _each(self, batch: Batch, draw: Callable[..., Tensor]) -> Tensor:
        channels = batch.image_BCHW.shape[1]
        field_BCHW = torch.zeros(batch.image_BCHW.shape)
        for own_CHW, (height, width), generator in zip(
            field_BCHW, batch.sizes, self._generators, strict=True
        ):
            own_CHW[:, :height, :width] = draw((channels, height, width), generator=generator)
        return field_BCHW.to(batch.image_BCHW)


class CounterDraws:
    """By Philox on the images' device: a value is a function of its sample's seed, field and pixel."""

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        self._samples = [_Sample(seed) for seed in seeds]
        self._device = device

    def generator(self, index: int) -> Generator:
        """Of one sample."""
        return self._samples[index].generator

    def select(self, index: Sequence[int]) -> CounterDraws:
        """The same samples."""
        chosen = CounterDraws((), self._device)
        chosen._samples = [self._samples[each] for each in index]
        return chosen

    def normal(self, batch: Batch) -> Tensor:
        """Standard normal, by Box and Muller."""
        return normal_deviates(self._words(batch)(0)).to(batch.image_BCHW)

    def uniform(self, batch: Batch) -> Tensor:
        """In (0, 1)."""
        return unit(self._words(batch)(0)[0]).to(batch.image_BCHW).clamp_max(1 - 2**-24)

    def poisson(self, rates: Batch) -> Tensor:
        """Counts with these non-negative means."""
        return poisson_deviates(rates.image_BCHW.double(), self._words(rates)).to(rates.image_BCHW)

    def gamma(self, batch: Batch, shapes: Sequence[float]) -> Tensor:
        """Of each sample's shape parameter."""
        shapes_BCHW = batch.column(shapes).double().expand(batch.image_BCHW.shape)
        return gamma_deviates(shapes_BCHW, self._words(batch)).to(batch.image_BCHW)

    def _words(self, batch: Batch) -> Callable[[int], Words]:
        """``words(attempt)``: fresh words for every pixel."""
        keys = [sample.next_field() for sample in self._samples]
        seed_low, seed_high, field = (self._column(each) for each in zip(*keys, strict=True))
        pixel = _pixels(batch, self._device)

        def words(attempt: int) -> Words:
            tried = torch.full_like(pixel, attempt)
            return philox((pixel, field.expand_as(pixel), tried, tried * 0), (seed_low, seed_high))

        return words

    def _column(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self._device)[:, None, None, None]


class _Sample:
    """One sample's seed, its generator, and the fields it has drawn."""

    def __init__(self, seed: int) -> None:
        self.generator = Generator().manual_seed(seed)
        self._seed, self._fields = seed % 2**64, 0

    def next_field(self) -> tuple[int, int, int]:
        """Both halves of the seed, and the number of the field."""
        self._fields += 1
        return self._seed & 0xFFFFFFFF, self._seed >> 32, self._fields


def _pixels(batch: Batch, device: torch.device) -> Tensor:
    """BCHW int64: each pixel's number in its own image, whatever canvas it lies on."""
    _, channels, height, width = batch.image_BCHW.shape
    sizes = torch.tensor(batch.sizes, dtype=torch.int64, device=device)[:, :, None, None, None]
    y, x = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)[None, :]
    channel = torch.arange(channels, device=device)[:, None, None]
    assert math.prod(batch.image_BCHW.shape[1:]) < 2**32
    numbers: Tensor = (channel * sizes[:, 0] + y) * sizes[:, 1] + x
    return numbers
