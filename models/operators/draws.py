"""Draws from a generator that the caller owns: scalars, and fields of an image's shape.

Everything is drawn on the generator's device and in float32, then moved, so that a seed means the same
pixels whatever the device and type of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Generator, Tensor

Item = TypeVar("Item")


def uniform(low: float, high: float, rng: Generator) -> float:
    """One number drawn uniformly from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=rng, device=rng.device))


def integer(low: int, high: int, rng: Generator) -> int:
    """One whole number drawn uniformly from low..high, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng, device=rng.device))


def choice(items: Sequence[Item], rng: Generator, weights: Sequence[float] | None = None) -> Item:
    """One of the items, each as likely as the other or as its weight says."""
    chances = torch.ones(len(items)) if weights is None else torch.tensor(weights)
    index = torch.multinomial(chances.to(rng.device), 1, generator=rng)
    return items[int(index)]


def each_image(image_BCHW: Tensor, noisy: Callable[[Tensor], Tensor]) -> Tensor:
    """``noisy`` applied to each CHW image in turn, so that a batch draws what its images would one by one."""
    return torch.stack([noisy(image_CHW) for image_CHW in image_BCHW])


def normal_like(image_CHW: Tensor, rng: Generator, *, grey: bool = False) -> Tensor:
    """Standard normal values of the image's shape (one channel with ``grey``), dtype and device."""
    channels, height, width = image_CHW.shape
    shape = (1 if grey else channels, height, width)
    # Always drawn in float32, so that a seed means the same noise whatever the image's dtype.
    return torch.randn(shape, generator=rng, device=rng.device).to(image_CHW)


def poisson_like(rates_CHW: Tensor, rng: Generator) -> Tensor:
    """Poisson counts with the given non-negative rates."""
    return torch.poisson(rates_CHW.to(rng.device, torch.float32), generator=rng).to(rates_CHW)
