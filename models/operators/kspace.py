"""Undersampled k-space of magnetic resonance imaging: what an image is when lines of it are not measured.

Zbontar et al., "fastMRI: An Open Dataset and Benchmarks for Accelerated MRI", arXiv 1811.08839, section 4.4:
Cartesian lines, fully sampled in the centre and few elsewhere. With several coils as in Pruessmann et al.,
"SENSE: Sensitivity Encoding for Fast MRI", MRM 1999.

The degraded image is the zero-filled reconstruction, ``A = E' E`` with ``E = mask . Fourier . sensitivities``
and real images: they keep their size, and A is its own adjoint. Noise of the measurement is noise of the
image before A: it comes first in a chain.

Shapes: B batch, C channels, H and W height and width, K coils, L lines of k-space, R and S rows and columns
of a map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.operators.draws import each_image, integer
from models.parameters import Checked, Range, choice, require, whole

PATTERNS = ("random", "equispaced")
"""Which lines are measured outside the centre, as fastMRI draws them."""

Sensitivities = tuple[tuple[tuple[tuple[float, float], ...], ...], ...]
"""Coils x rows x columns x (real, imaginary)."""


@dataclass(frozen=True)
class KSpaceUndersampling(Checked):
    """Draws the measured lines of each image; ``drawn`` gives the linear operator of one.

    ``random`` measures each outer line with the chance that makes the expected number of lines
    ``1 / acceleration`` of all; ``equispaced`` as many at even distances, from a random first one on.
    """

    name: ClassVar[str] = "kspace_undersampling"

    acceleration: int = whole(4, 2, 32)
    """How many times fewer lines are measured, in [2, 32]."""
    centre: float = 0.08
    """Share of the lines in the fully sampled centre, in (0, 1 / acceleration]; of fastMRI 0.08 and 0.04."""
    pattern: str = choice(*PATTERNS)
    """One of ``PATTERNS``."""
    encoding: str = choice("columns", "rows")
    """The image axis that is phase encoded: "columns" (fastMRI's) folds the image sideways."""
    sensitivities: Sensitivities = field(default=(), repr=False)
    """Of each coil, rows x columns of (real, imaginary); empty: one coil that sees all alike. A small grid
    will do, for maps are smooth: it is enlarged bilinearly to the image. Maps are divided by their root sum
    of squares."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.name, Range(0, 1 / self.acceleration, above=True), centre=self.centre)
        _require_maps(self.name, self.sensitivities)

    def drawn(self, rng: Generator) -> FixedKSpaceUndersampling:
        """The undersampling of one image, as the next call with this generator state would apply it."""
        given = {each.name: getattr(self, each.name) for each in fields(KSpaceUndersampling)}
        return FixedKSpaceUndersampling(**given, seed=integer(0, 2**31 - 1, rng))

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The zero-filled reconstruction, same size; all channels of an image share their lines."""
        return each_image(image_BCHW, lambda image_CHW: self.drawn(rng)(image_CHW[None], rng)[0])

    def lines(self, count: int, rng: Generator) -> Tensor:
        """L bool: which of ``count`` lines are measured; the most negative frequency first."""
        central = max(round(count * self.centre), 1)
        wanted, outer = count / self.acceleration - central, count - central
        measured_L = torch.zeros(count, dtype=torch.bool, device=rng.device)
        if wanted > 0 and self.pattern == "random":
            measured_L = torch.rand(count, generator=rng, device=rng.device) < wanted / outer
        elif wanted > 0:
            step = outer / wanted
            first = integer(0, max(round(step), 1) - 1, rng)
            places = torch.arange(first, count - 1, step, dtype=torch.float64, device=rng.device)
            measured_L[places.round().long()] = True
        start = (outer + 1) // 2
        measured_L[start : start + central] = True
        return measured_L


@dataclass(frozen=True)
class FixedKSpaceUndersampling(KSpaceUndersampling):
    """The lines that follow from a seed: linear, and its own adjoint."""

    seed: int = 0
    """Of the draw, for an image of any size."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The zero-filled reconstruction, same size."""
        height, width = image_BCHW.shape[2:]
        axis = 2 if self.encoding == "rows" else 3
        measured_L = self.lines(image_BCHW.shape[axis], Generator().manual_seed(self.seed))
        measured_L = torch.fft.ifftshift(measured_L).to(image_BCHW)
        mask = measured_L[:, None] if axis == 2 else measured_L

        def filled(image: Tensor) -> Tensor:
            # A line is sampled densely: along the other axis the transforms there and back are one.
            back: Tensor = torch.fft.ifft(torch.fft.fft(image, dim=axis) * mask, dim=axis)
            return back

        if not self.sensitivities:
            return filled(image_BCHW).real.contiguous()
        combined_BCHW = torch.zeros_like(image_BCHW)
        for map_HW in sensitivity_maps(self.sensitivities, height, width).to(image_BCHW.device):
            map_HW = map_HW.to(torch.promote_types(image_BCHW.dtype, torch.complex64))
            combined_BCHW = combined_BCHW + (map_HW.conj() * filled(map_HW * image_BCHW)).real
        return combined_BCHW

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'``, which is A."""
        assert tuple(image_BCHW.shape[2:]) == (height, width), (image_BCHW.shape, height, width)
        return self(image_BCHW, Generator())


def sensitivity_maps(sensitivities: Sensitivities, height: int, width: int) -> Tensor:
    """KHW complex128: the maps enlarged to the image; their squared magnitudes sum to 1 at each pixel."""
    grid_KRS2 = torch.tensor(sensitivities, dtype=torch.float64)
    grid_K2RS = grid_KRS2.permute(0, 3, 1, 2)
    if tuple(grid_K2RS.shape[2:]) != (height, width):
        grid_K2RS = F.interpolate(grid_K2RS, (height, width), mode="bilinear", align_corners=True)
    maps_KHW = torch.complex(*grid_K2RS.unbind(1))
    total_HW = maps_KHW.abs().square().sum(0).sqrt()
    return torch.where(total_HW > 0, maps_KHW / total_HW.clamp_min(1e-30), 0.0)


def birdcage(coils: int, side: int = 16, distance: float = 1.5) -> Sensitivities:
    """Maps of ``coils`` small coils around the image, ``distance`` half sides from its centre.

    Each falls off as one over the distance from its coil; its phase is the direction to the coil.
    """
    place = torch.linspace(-1, 1, side, dtype=torch.float64)
    angles_K = 2 * math.pi * torch.arange(coils, dtype=torch.float64) / coils
    x_KRS = place - distance * torch.cos(angles_K)[:, None, None]
    y_KRS = place[:, None] - distance * torch.sin(angles_K)[:, None, None]
    from_coil_KRS = torch.complex(x_KRS.expand(-1, side, -1), y_KRS.expand(-1, -1, side))
    grid_KRS2 = torch.view_as_real(from_coil_KRS / from_coil_KRS.abs().square())
    return tuple(tuple(tuple((a, b) for a, b in row) for row in coil) for coil in grid_KRS2.tolist())


def _require_maps(name: str, sensitivities: Sensitivities) -> None:
    """``ValueError`` unless coils, rows and columns are as many everywhere, of two finite numbers each."""
    if sensitivities == ():
        return
    try:
        grid = torch.tensor(sensitivities, dtype=torch.float64)
    except (TypeError, ValueError):
        grid = torch.empty(0)
    if grid.ndim != 4 or grid.shape[3] != 2 or not grid.isfinite().all():
        raise ValueError(
            f"{name}: sensitivities must be coils x rows x columns x 2, finite and of one "
            f"grid; got {str(sensitivities)[:60]}"
        )
