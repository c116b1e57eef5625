"""Blur: Gaussians and their relatives, sinc, defocus, and any kernel by its values.

Beyond the border the image is mirrored with its edge pixel repeated, ``c b a | a b c | c b a``
(SciPy's "reflect", MATLAB's "symmetric"), unless ``border`` says otherwise.

K is the side of a kernel, always odd.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.operators.banded import Separable
from models.operators.convolution import Convolution, require_kernel_fits
from models.operators.resample import gaussian_weights
from models.operators.separable import SeparableOperator
from models.parameters import number, odd, require_rows


@dataclass(frozen=True)
class GaussianBlur(SeparableOperator):
    """Isotropic Gaussian blur in two banded passes. Linear, with an exact ``prox``.

    Raises ``ValueError`` for an image smaller than the kernel.
    """

    name: ClassVar[str] = "gaussian_blur"

    sigma: float = number(low=0, high=100, above=True)
    """Standard deviation in pixels, in (0, 100]."""
    size: int | None = odd(None)
    """Side of the kernel in pixels, odd; ``None`` cuts the Gaussian at 4 sigma, as SciPy does."""

    @property
    def kernel_side(self) -> int:
        """Of the kernel, in pixels: an image needs at least as many each way."""
        return 2 * _radius_of(self.sigma, self.size) + 1

    def _matrices(self, height: int, width: int) -> Separable:
        radius = self.kernel_side // 2
        require_kernel_fits(self.name, self.kernel_side, height, width)
        return Separable(
            gaussian_weights(height, height, self.sigma, radius),
            gaussian_weights(width, width, self.sigma, radius),
        )


@dataclass(frozen=True)
class AnisotropicGaussianBlur(Convolution):
    """Gaussian blur with two widths along turned axes."""

    name: ClassVar[str] = "anisotropic_gaussian_blur"

    sigma_x: float = number(low=0, high=50, above=True)
    """Standard deviation along the first axis in pixels, in (0, 50]."""
    sigma_y: float = number(low=0, high=50, above=True)
    """Standard deviation along the second axis in pixels, in (0, 50]."""
    angle: float = number(0.0, -360, 360)
    """Of the first axis against the image's x axis, in degrees towards +y (down), in [-360, 360]."""
    size: int | None = odd(None)
    """Side of the kernel in pixels, odd; ``None`` cuts the Gaussian at 4 times the larger sigma."""

    def kernel(self) -> Tensor:
        """KK float64."""
        radius = _radius_of(max(self.sigma_x, self.sigma_y), self.size)
        return _normalised(torch.exp(-0.5 * _ellipse(radius, self.sigma_x, self.sigma_y, self.angle)))


@dataclass(frozen=True)
class GeneralisedGaussianBlur(Convolution):
    """Kernel ``exp(-(d^2)^beta / 2)``, d^2 the squared elliptic distance (Liu et al. 2020; Real-ESRGAN 2021).

    beta < 1 is more peaked than a Gaussian, beta > 1 flatter.
    """

    name: ClassVar[str] = "generalised_gaussian_blur"

    sigma_x: float = number(low=0, high=50, above=True)
    """Width along the first axis in pixels, in (0, 50]."""
    sigma_y: float = number(low=0, high=50, above=True)
    """Width along the second axis in pixels, in (0, 50]."""
    beta: float = number(1.0, 0.1, 20)
    """Exponent, in [0.1, 20]."""
    angle: float = number(0.0, -360, 360)
    """Of the first axis against the image's x axis, in degrees towards +y (down), in [-360, 360]."""
    size: int = odd(21)
    """Side of the kernel in pixels, odd."""

    def kernel(self) -> Tensor:
        """KK float64."""
        distance2_KK = _ellipse(self.size // 2, self.sigma_x, self.sigma_y, self.angle)
        return _normalised(torch.exp(-0.5 * distance2_KK**self.beta))


@dataclass(frozen=True)
class PlateauBlur(Convolution):
    """Kernel ``1 / (1 + (d^2)^beta)``, d^2 the squared elliptic distance (Real-ESRGAN 2021)."""

    name: ClassVar[str] = "plateau_blur"

    sigma_x: float = number(low=0, high=50, above=True)
    """Width along the first axis in pixels, in (0, 50]."""
    sigma_y: float = number(low=0, high=50, above=True)
    """Width along the second axis in pixels, in (0, 50]."""
    beta: float = number(1.0, 0.1, 20)
    """Exponent, in [0.1, 20]: the larger, the steeper the plateau's edge."""
    angle: float = number(0.0, -360, 360)
    """Of the first axis against the image's x axis, in degrees towards +y (down), in [-360, 360]."""
    size: int = odd(21)
    """Side of the kernel in pixels, odd."""

    def kernel(self) -> Tensor:
        """KK float64."""
        distance2_KK = _ellipse(self.size // 2, self.sigma_x, self.sigma_y, self.angle)
        return _normalised(1 / (1 + distance2_KK**self.beta))


@dataclass(frozen=True)
class Sinc(Convolution):
    """Ideal circular low-pass, which rings: ``cutoff J1(cutoff r) / (2 pi r)`` (Real-ESRGAN 2021, 3.3)."""

    name: ClassVar[str] = "sinc"

    cutoff: float = number(low=0, high=math.pi, above=True)
    """Cut-off frequency in radians per pixel, in (0, pi]."""
    size: int = odd(21)
    """Side of the kernel in pixels, odd."""

    def kernel(self) -> Tensor:
        """KK float64."""
        y_K1, x_1K = _axes(self.size // 2)
        r_KK = torch.hypot(y_K1, x_1K).clamp_min(1e-9)
        # J1(z) / z has the limit 1/2 at the centre.
        kernel_KK = self.cutoff * torch.special.bessel_j1(self.cutoff * r_KK) / (2 * math.pi * r_KK)
        return _normalised(kernel_KK)


@dataclass(frozen=True)
class DefocusBlur(Convolution):
    """A lens out of focus: a uniform disc, its edge pixels weighted by the area they share with it."""

    name: ClassVar[str] = "defocus"

    radius: float = number(low=0, high=100, above=True)
    """Of the disc in pixels, in (0, 100]."""

    def kernel(self) -> Tensor:
        """KK float64."""
        reach, parts = math.ceil(self.radius + 0.5) - 1, 16
        fine = (torch.arange((2 * reach + 1) * parts, dtype=torch.float64) + 0.5) / parts - (reach + 0.5)
        # Of a disc within one pixel the samples next to its centre are left, however small it is.
        radius = max(self.radius, 1 / parts)
        inside = (fine[:, None] ** 2 + fine[None, :] ** 2 <= radius**2).double()
        return _normalised(torch.nn.functional.avg_pool2d(inside[None, None], parts)[0, 0])


@dataclass(frozen=True)
class KernelBlur(Convolution):
    """Blur with any kernel given by its values; they are divided by their sum."""

    name: ClassVar[str] = "kernel_blur"

    values: tuple[tuple[float, ...], ...]
    """Rows of the kernel, top first: square, of odd side, finite, with a positive sum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_rows(self.name, values=self.values)
        side = len(self.values)
        if side % 2 == 0 or any(len(row) != side for row in self.values):
            shape = f"{side} rows of {sorted({len(row) for row in self.values})} values"
            raise ValueError(f"{self.name}: values must be a square of odd side, got {shape}")
        total = math.fsum(value for row in self.values for value in row)
        if not (math.isfinite(total) and total > 0):
            raise ValueError(f"{self.name}: values must be finite with a positive sum, their sum is {total}")

    def kernel(self) -> Tensor:
        """KK float64."""
        return _normalised(torch.tensor(self.values, dtype=torch.float64))


def _radius_of(sigma: float, size: int | None) -> int:
    return int(4 * sigma + 0.5) if size is None else size // 2


def _axes(radius: int) -> tuple[Tensor, Tensor]:
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    return offsets[:, None], offsets[None, :]


def _ellipse(radius: int, sigma_x: float, sigma_y: float, angle: float) -> Tensor:
    """KK squared distance from the centre in units of the two sigmas."""
    y_K1, x_1K = _axes(radius)
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    first_KK = (x_1K * cosine + y_K1 * sine) / sigma_x
    second_KK = (-x_1K * sine + y_K1 * cosine) / sigma_y
    return first_KK**2 + second_KK**2


def _normalised(kernel_KK: Tensor) -> Tensor:
    return kernel_KK / kernel_KK.sum()
