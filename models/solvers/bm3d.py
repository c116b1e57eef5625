"""BM3D: alike blocks are stacked, and the stacks filtered in a transform domain.

Dabov, Foi, Katkovnik and Egiazarian 2007, "Image denoising by sparse 3-D transform-domain collaborative
filtering": a first estimate by hard thresholds, a second by Wiener filters that the first one gives. Colour
as in their section V-B: blocks are grouped by the luminance of an opponent colour space. Noise that
neighbours share has its own variance in every coefficient of every group (``noise_covariance``).

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.parameters import require_rows
from models.solvers.block_matching import REACH, STEP, match_blocks, reference_places
from models.solvers.block_transforms import SIDE, biorthogonal, cosine
from models.solvers.collaborative_filter import (
    EmpiricalWiener,
    Filtered,
    HardThreshold,
    Variance,
    filter_groups,
    spectra,
)
from models.solvers.noise_covariance import SPECTRUM_SIDE, NoiseCovariance, spectrum_of
from models.solvers.solver import Solver, noise_level_of, number

Method = Callable[[Tensor, Tensor], Filtered]
"""GK places and the noise variance there to filtered groups."""

_LEAST_NOISE = 1e-5
"""Below any 16-bit step."""
_BAND_VALUES = 1 << 24
"""Coefficients of the blocks that are held at once."""
_OPPONENT = ((1 / 3, 1 / 3, 1 / 3), (1 / 2, 0.0, -1 / 2), (1 / 4, -1 / 2, 1 / 4))
"""Luminance and two differences of red, green and blue (Dabov et al. 2007, section V-B)."""


@dataclass(frozen=True)
class Step:
    """How one of the two estimates is made."""

    rows_NN: Tensor
    """Transform of the blocks."""
    blocks: int
    """The most blocks of a group."""
    threshold: float
    """Mean squared difference up to which blocks are alike, beside that of the noise in both."""


_FIRST = Step(biorthogonal(), 16, 2500 / 255**2)
_SECOND = Step(cosine(), 32, 400 / 255**2)


@dataclass(frozen=True, kw_only=True)
class BlockMatching3D(Solver):
    """Red, green and blue are filtered together, other numbers of channels one by one."""

    name: ClassVar[str] = "bm3d"

    strength: float = number(2.7, 0.1, 10.0)
    """Threshold of the first estimate in units of the noise: less keeps more texture and more noise."""
    noise_kernel: tuple[tuple[float, ...], ...] | None = None
    """Rows of a kernel that white noise was convolved with to give the noise; nothing means white noise.
    Neighbours that share their noise hide it from the blind estimate of its level: give the level too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise_kernel is not None:
            object.__setattr__(self, "noise_kernel", _checked(self.noise_kernel))

    def card(self, name: str) -> Card:
        """Blocks may be alike to blocks that are alike to others: tiles are never exact."""
        return Card(
            name=name,
            summary="BM3D: collaborative filtering of alike blocks, against Gaussian noise.",
            task="denoising",
            minimum_size=SIDE,
            halo=None,
            tile_exact=False,
            needs=("noise_level",),
            source="Dabov et al., IEEE TIP 2007; Mäkinen, Azzari and Foi, IEEE TIP 2020",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        level_B111 = noise_level_of(condition, degraded_BCHW).clamp(min=_LEAST_NOISE)
        pairs = zip(degraded_BCHW, level_B111.flatten().tolist(), strict=True)
        power_SS = None if self.noise_kernel is None else spectrum_of(self.noise_kernel)
        return torch.stack([denoise(image_CHW, level, self.strength, power_SS) for image_CHW, level in pairs])


def denoise(
    image_CHW: Tensor, noise_level: float, strength: float = 2.7, power_SS: Tensor | None = None
) -> Tensor:
    """CHW without noise of this standard deviation, white or of a power spectrum of mean 1."""
    if len(image_CHW) != 3:
        planes = [
            _denoise_planes(plane_HW[None], (noise_level,), strength, power_SS) for plane_HW in image_CHW
        ]
        return torch.cat(planes)
    opponent_CC = image_CHW.new_tensor(_OPPONENT)
    mixed_CHW = torch.einsum("kc,chw->khw", opponent_CC, image_CHW)
    levels = (noise_level * opponent_CC.norm(dim=1)).tolist()
    denoised_CHW = _denoise_planes(mixed_CHW, tuple(levels), strength, power_SS)
    return torch.einsum("kc,chw->khw", torch.linalg.inv(opponent_CC), denoised_CHW)


def _denoise_planes(
    noisy_CHW: Tensor, levels: tuple[float, ...], strength: float, power_SS: Tensor | None
) -> Tensor:
    """CHW: planes that are grouped by the first of them."""

    def hard(rows: slice) -> Method:
        return HardThreshold(spectra(noisy_CHW[:, rows], _FIRST.rows_NN), strength)

    def wiener(rows: slice) -> Method:
        noisy_PBN = spectra(noisy_CHW[:, rows], _SECOND.rows_NN)
        return EmpiricalWiener(noisy_PBN, spectra(estimate_CHW[:, rows], _SECOND.rows_NN))

    # Two noisy blocks of the same content differ by twice the variance of the noise.
    first = replace(_FIRST, threshold=_FIRST.threshold + 2 * levels[0] ** 2)
    variances = [_variance(noisy_CHW, levels, power_SS, step) for step in (first, _SECOND)]
    estimate_CHW = estimate(noisy_CHW, noisy_CHW[0], first, hard, variances[0])
    return estimate(noisy_CHW, estimate_CHW[0], _SECOND, wiener, variances[1])


def _variance(noisy_CHW: Tensor, levels: tuple[float, ...], power_SS: Tensor | None, step: Step) -> Variance:
    variance_C1 = noisy_CHW.new_tensor(levels).square()[:, None]
    if power_SS is None:
        return lambda place_GK: variance_C1
    covariance = NoiseCovariance(power_SS, step.rows_NN, noisy_CHW)
    blocks_across = noisy_CHW.shape[-1] - SIDE + 1
    return lambda place_GK: covariance(place_GK, blocks_across)[:, :, None] * variance_C1


def estimate(
    noisy_CHW: Tensor, guide_HW: Tensor, step: Step, method: Callable[[slice], Method], variance: Variance
) -> Tensor:
    """CHW: blocks grouped by the guide, filtered by the method for a band of rows, averaged by weight."""
    total_CHW, weight_CHW = torch.zeros_like(noisy_CHW), torch.zeros_like(noisy_CHW)
    for tops_R, rows in _bands(noisy_CHW):
        band_HW = guide_HW[rows]
        groups = match_blocks(band_HW, tops_R - rows.start, step.blocks, step.threshold)
        size = (band_HW.shape[0], band_HW.shape[1])
        added_CHW, weights_CHW = filter_groups(groups, method(rows), variance, size, step.rows_NN)
        total_CHW[:, rows] += added_CHW
        weight_CHW[:, rows] += weights_CHW
    return total_CHW / weight_CHW


def _bands(image_CHW: Tensor) -> Iterator[tuple[Tensor, slice]]:
    """Rows of reference blocks, and all rows that their matches lie in."""
    channels, height, width = image_CHW.shape
    tops_R = reference_places(height)
    fitting = max(_BAND_VALUES // (channels * SIDE * SIDE * width) - 2 * REACH, 4 * SIDE)
    for part_R in torch.split(tops_R, max(fitting // STEP, 1)):
        first, last = int(part_R[0]) - REACH, int(part_R[-1]) + SIDE + REACH
        yield part_R, slice(max(first, 0), min(last, height))


def _checked(kernel: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """The kernel as floats; raises ``ValueError`` unless it is a finite rectangle that passes something."""
    require_rows("bm3d", noise_kernel=kernel)
    rows = tuple(tuple(float(value) for value in row) for row in kernel)
    sizes = {len(row) for row in rows}
    most = SPECTRUM_SIDE // 4
    if len(sizes) != 1 or not 0 < max(sizes) <= most or len(rows) > most:
        shape = f"{len(rows)} rows of {sorted(sizes)} values"
        raise ValueError(
            f"bm3d: noise_kernel must be rows of equal length, at most {most} each way; got {shape}"
        )
    energy = math.fsum(value * value for row in rows for value in row)
    if not (math.isfinite(energy) and energy > 0):
        raise ValueError(f"bm3d: noise_kernel must be finite and not all 0; its squares sum to {energy}")
    return rows
