"""The noise of an archive, out of its flat parts: how it grows with the signal, and what neighbours share.

Blocks are chosen by the variance of their means over 4 x 4 pixels, and measured by all of their pixels: the
noise of single pixels, which is measured, has next to no say in which blocks are measured.

Shapes: B batch, C channels, H and W height and width, N blocks, S side of the square of displacements.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

BLOCK = 16
_MEANS = 4
_FLATTEST = 0.1
"""Share of the blocks that say how flat a block can be."""
_FLAT = 2.0
_FEWEST = 24
_REACH = 3
"""Displacements up to this are measured; noise is taken to share nothing farther away."""
_WHITE = 0.06
"""Correlations below are taken for chance."""
_FIELD, _ROUNDS = 512, 4
_LEAST = 0.4 / 255
"""Standard deviation below which there is nothing to learn from."""


@dataclass(frozen=True)
class ArchiveNoise:
    """Gaussian noise whose variance at signal ``x`` is ``constant + linear x + quadratic x^2``."""

    constant: float
    linear: float
    quadratic: float
    correlation_SS: Tensor
    """Correlation of two pixels by displacement, 1 in the middle."""

    @property
    def is_white(self) -> bool:
        """Whether neighbours share nothing."""
        return float(self.correlation_SS.abs().sum()) == 1.0

    def variance(self, noisy_BCHW: Tensor) -> Tensor:
        """Of every pixel, by the mean of those around it."""
        around = F.avg_pool2d(F.pad(noisy_BCHW, (2, 2, 2, 2), mode="replicate"), 5, stride=1).clamp_min(0)
        return self.constant + self.linear * around + self.quadratic * around.square()

    def draw(self, noisy_BCHW: Tensor, rng: Generator) -> Tensor:
        """Other noise of the same kind, as these images have it."""
        white = torch.randn(noisy_BCHW.shape, generator=rng).to(noisy_BCHW)
        if not self.is_white:
            spectrum: Tensor = torch.fft.fft2(white) * self._amplitude(white)
            white = torch.fft.ifft2(spectrum).real.to(noisy_BCHW)
        drawn: Tensor = white * self.variance(noisy_BCHW).sqrt()
        return drawn

    def _amplitude(self, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        around = torch.zeros(height, width)
        rows, columns = (torch.arange(-_REACH, _REACH + 1) % length for length in (height, width))
        around[rows[:, None], columns[None]] = self.correlation_SS
        power = torch.fft.fft2(around).real.clamp_min(0)
        amplitude: Tensor = (power / power.mean()).sqrt().to(like)
        return amplitude

    def words(self) -> str:
        """For people: ``standard deviation 12.1 of 255 in the middle of the range, shared by neighbours``."""
        middle = (self.constant + self.linear / 2 + self.quadratic / 4) ** 0.5 * 255
        grows = ", more where it is bright" if self.linear + self.quadratic else ""
        shared = "" if self.is_white else ", shared by neighbours"
        return f"standard deviation {middle:.1f} of 255 in the middle of the range{grows}{shared}"

    def described(self) -> dict[str, object]:
        """Plain values, for a card."""
        neighbour = round(float(self.correlation_SS[_REACH, _REACH + 1]), 3)
        return {
            "variance": [self.constant, self.linear, self.quadratic],
            "correlation_of_neighbours": 0.0 if self.is_white else neighbour,
        }


def measure_noise(images_1CHW: Sequence[Tensor]) -> ArchiveNoise:
    """The noise of images in [0, 1]; ``ValueError`` where they show none, or too little that is flat."""
    blocks_NHW = torch.cat([_blocks(image) for image in images_1CHW])
    blocks_NHW = blocks_NHW[~_is_cut_off(blocks_NHW)]
    if len(blocks_NHW) < _FEWEST:
        raise ValueError(
            f"{len(blocks_NHW)} squares of {BLOCK} x {BLOCK} pixels within the range, {_FEWEST} are needed "
            "to measure the noise; give more or larger images"
        )
    levels_N = blocks_NHW.mean((1, 2))
    structure_N = (
        _without_plane(F.avg_pool2d(blocks_NHW[:, None], BLOCK // _MEANS)[:, 0]).square().mean((1, 2))
    )
    flattest = _flattest(structure_N, levels_N)
    residual_NHW = _without_plane(blocks_NHW[flattest])
    # A plane takes three of the block's degrees of freedom.
    variance_N = residual_NHW.square().sum((1, 2)) / (BLOCK**2 - 3)
    constant, linear, quadratic = _fit(levels_N[flattest], variance_N)
    if float(variance_N.mean()) < _LEAST**2:
        raise ValueError(
            "the archive shows no noise where it is flat, and without noise there is nothing to adapt to; "
            "compressed or filtered images are none for this"
        )
    correlation_SS, left = _correlation(residual_NHW)
    return ArchiveNoise(constant / left, linear / left, quadratic / left, correlation_SS)


def _blocks(image_1CHW: Tensor) -> Tensor:
    channels_C1HW = image_1CHW.transpose(0, 1)
    found = F.unfold(channels_C1HW, BLOCK, stride=BLOCK).transpose(1, 2)
    return found.reshape(-1, BLOCK, BLOCK)


def _is_cut_off(blocks_NHW: Tensor) -> Tensor:
    """Whether the range cuts noise off."""
    low, high = blocks_NHW <= 0.5 / 255, blocks_NHW >= 254.5 / 255
    # Noise that may leave the range is not cut off at its ends.
    free = bool((blocks_NHW < 0).any() or (blocks_NHW > 1).any())
    return (
        torch.zeros(len(blocks_NHW), dtype=torch.bool) if free else (low | high).float().mean((1, 2)) > 0.01
    )


def _without_plane(blocks_NHW: Tensor) -> Tensor:
    side = blocks_NHW.shape[-1]
    place = torch.linspace(-1, 1, side)
    basis = torch.stack([torch.ones(side, side), place.expand(side, side), place[:, None].expand(side, side)])
    basis = basis / basis.square().sum((1, 2), keepdim=True).sqrt()
    parts = torch.einsum("nhw,khw->nk", blocks_NHW, basis)
    return blocks_NHW - torch.einsum("nk,khw->nhw", parts, basis)


def _flattest(structure_N: Tensor, levels_N: Tensor) -> Tensor:
    """Numbers of the flattest blocks of each eighth of the levels: dark and bright ones alike.

    All up to twice the structure of the flattest tenth: to take that tenth alone where all are flat would
    choose by the noise.
    """
    chosen = []
    for part in torch.chunk(levels_N.argsort(), 8):
        chosen.append(part[structure_N[part] <= _FLAT * structure_N[part].quantile(_FLATTEST)])
    return torch.cat(chosen)


def _fit(levels_N: Tensor, variance_N: Tensor) -> tuple[float, float, float]:
    """Least squares with terms of at least zero: the best of all sets of terms that give none below."""
    terms_N3 = torch.stack([torch.ones_like(levels_N), levels_N, levels_N.square()], 1).double()
    wanted_N, best, error = variance_N.double(), (float(variance_N.mean()), 0.0, 0.0), float("inf")
    # The spread of a measured variance grows with it.
    weight_N = 1 / (terms_N3[:, :2] @ torch.tensor([1.0, 2.0], dtype=torch.float64))
    for count in (1, 2, 3):
        for kept in itertools.combinations(range(3), count):
            part = terms_N3[:, list(kept)] * weight_N[:, None]
            solution = torch.linalg.lstsq(part, (wanted_N * weight_N)[:, None]).solution[:, 0]
            missed = float((part @ solution - wanted_N * weight_N).square().sum())
            # A further term must earn its place.
            if bool((solution >= 0).all()) and missed < 0.97 * error:
                found = dict(zip(kept, solution.tolist(), strict=True))
                best, error = (found.get(0, 0.0), found.get(1, 0.0), found.get(2, 0.0)), missed
    return best


def _correlation(residual_NHW: Tensor) -> tuple[Tensor, float]:
    """The correlation by displacement, and how much of the variance is left where planes are taken away.

    A plane takes a part of noise that neighbours share: how much is seen on noise of the correlation that
    was found, and made good until that noise, measured the same way, is as it was found.
    """
    measured = _covariances(residual_NHW)
    measured = measured / measured[_REACH, _REACH].clone()
    white = torch.zeros_like(measured)
    white[_REACH, _REACH] = 1.0
    if float((measured - white).abs().max()) < _WHITE:
        return white, 1.0
    field, made_good, left = torch.full((1, 1, _FIELD, _FIELD), 0.5), measured, 1.0
    for _ in range(_ROUNDS):
        noise = ArchiveNoise(1.0, 0.0, 0.0, made_good / made_good[_REACH, _REACH])
        seen = _covariances(_without_plane(_blocks(noise.draw(field, Generator().manual_seed(0)))))
        left = float(seen[_REACH, _REACH])
        made_good = made_good + measured - seen / left
    return made_good / made_good[_REACH, _REACH].clone(), left / (1 - 3 / BLOCK**2)


def _covariances(residual_NHW: Tensor) -> Tensor:
    side = 2 * _REACH + 1
    found = torch.zeros(side, side)
    for down, right in itertools.product(range(-_REACH, _REACH + 1), repeat=2):
        rows, columns = _overlap(down), _overlap(right)
        first = residual_NHW[:, rows[0], columns[0]]
        found[_REACH + down, _REACH + right] = (first * residual_NHW[:, rows[1], columns[1]]).mean()
    return found


def _overlap(by: int) -> tuple[slice, slice]:
    return (
        slice(max(0, by), BLOCK + min(0, by)),
        slice(max(0, -by), BLOCK + min(0, -by)),
    )
