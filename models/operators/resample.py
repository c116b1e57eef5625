"""Resampling: MATLAB's imresize, and the operators that make images smaller with it.

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.banded import BandedMatrix, Separable, sampled
from models.operators.parameters import ROUNDINGS, per_band
from models.operators.separable import SeparableOperator
from models.parameters import Checked, choice, number, whole


def imresize(
    image_BCHW: Tensor,
    height: int,
    width: int,
    kernel: str = "bicubic",
    antialias: bool = True,
    rounding: str | None = None,
) -> Tensor:
    """The image enlarged or made smaller to ``height`` x ``width``, pixel centres aligned as in MATLAB.

    ``kernel`` is one of ``KERNELS``; with ``antialias`` it is widened when shrinking. ``rounding``
    "uint8" or "uint16" does what MATLAB does with images of that class: rounds half up and clips after
    each of the two passes (the image is put on the integer grid first). Otherwise nothing is rounded
    or clipped and the result has the image's dtype. Raises ``ValueError`` for other words.
    """
    matrices = Separable(
        axis_weights(image_BCHW.shape[2], height, kernel, antialias),
        axis_weights(image_BCHW.shape[3], width, kernel, antialias),
    )
    rounding = rounding or "none"
    if rounding not in ROUNDINGS:
        raise ValueError(f"imresize: rounding must be one of {', '.join(ROUNDINGS)}; got {rounding!r}")
    if rounding == "none":
        return matrices(image_BCHW)
    return _resize_on_grid(image_BCHW, matrices, ROUNDINGS[rounding])


def _resize_on_grid(image_BCHW: Tensor, matrices: Separable, top: int) -> Tensor:
    def to_grid(values: Tensor) -> Tensor:
        return values.add_(0.5).floor_().clamp_(0, top)

    def resize(plane_11HW: Tensor) -> Tensor:
        # Sums of whole numbers that end in exactly .5 are common, and float32 would round some the other way.
        whole_11HW = (plane_11HW * top).round_().clamp_(0, top).double()
        return matrices(whole_11HW, to_grid).div_(top).to(image_BCHW.dtype)

    planes = [resize(plane_1HW[None]) for plane_1HW in torch.split(image_BCHW.flatten(0, 1), 1)]
    return torch.cat(planes).view(*image_BCHW.shape[:2], *planes[0].shape[2:])


def _cubic(distance: Tensor) -> Tensor:
    """Keys 1981 with a = -0.5."""
    x = distance.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp_min(0)


def _lanczos3(distance: Tensor) -> Tensor:
    return torch.where(
        distance.abs() < 3, torch.sinc(distance) * torch.sinc(distance / 3), torch.zeros_like(distance)
    )


_WINDOWS: dict[str, tuple[float, Callable[[Tensor], Tensor]]] = {
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, _lanczos3),
    "bilinear": (1.0, _triangle),
}
KERNELS = (*_WINDOWS, "area", "nearest")


@functools.lru_cache(maxsize=64)
def axis_weights(
    size_in: int, size_out: int, kernel: str = "bicubic", antialias: bool = True
) -> BandedMatrix:
    """The matrix (size_out x size_in) of ``imresize`` along one axis, weights normalised in float64."""
    if size_out < 1:
        raise ValueError(f"imresize: height and width must be at least 1, got {size_out}")
    step = size_in / size_out
    if kernel in _WINDOWS:
        radius, window = _WINDOWS[kernel]
        stretch = max(step, 1.0) if antialias else 1.0
        return sampled(size_in, size_out, radius * stretch, lambda distance: window(distance / stretch))
    if kernel == "area":
        # How far the output pixel, ``step`` wide, overlaps each input pixel, one wide.
        reach = (step + 1) / 2
        return sampled(
            size_in, size_out, reach, lambda distance: (reach - distance.abs()).clamp(0, min(step, 1.0))
        )
    if kernel == "nearest":
        centres_R = (torch.arange(size_out, dtype=torch.float64) + 0.5) * step
        columns_RT = centres_R.floor().long().clamp_max(size_in - 1)[:, None]
        return BandedMatrix(columns_RT, torch.ones(size_out, 1, dtype=torch.float64), size_in)
    raise ValueError(f"imresize: kernel must be one of {', '.join(KERNELS)}; got {kernel!r}")


@dataclass(frozen=True)
class _Downscale(SeparableOperator):
    """Makes an image ``scale`` times smaller, with antialiasing.

    Linear with ``rounding`` "none"; with "uint8" or "uint16" the result is what MATLAB gives for images
    of that class, and ``adjoint`` and ``prox`` are those of the linear part. Raises ``ValueError`` for
    an image whose height or width is not a multiple of ``scale``.
    """

    name: ClassVar[str]
    kernel: ClassVar[str]

    scale: int = whole(low=1, high=64)
    """How many times smaller, a whole number >= 1."""
    rounding: str = choice(*ROUNDINGS)
    """"none", or the integer grid between and after the two passes: "uint8", "uint16"."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The smaller image."""
        height, width = _sizes_after(self.name, self.scale, *image_BCHW.shape[2:])
        return imresize(image_BCHW, height, width, self.kernel, rounding=self.rounding)

    def _matrices(self, height: int, width: int) -> Separable:
        smaller = _sizes_after(self.name, self.scale, height, width)
        return Separable(
            axis_weights(height, smaller[0], self.kernel), axis_weights(width, smaller[1], self.kernel)
        )


def require_multiple(name: str, scale: int, height: int, width: int) -> None:
    """Raises ``ValueError`` naming the crop, unless both sides are multiples of ``scale``."""
    if height % scale or width % scale:
        raise ValueError(
            f"{name}: height and width must be multiples of scale {scale}, got {height} x {width}; "
            f"crop to {height - height % scale} x {width - width % scale}"
        )


def _sizes_after(name: str, scale: int, height: int, width: int) -> tuple[int, int]:
    require_multiple(name, scale, height, width)
    return height // scale, width // scale


class Bicubic(_Downscale):
    """MATLAB ``imresize(image, 1/scale, "bicubic")``, the standard of the super-resolution papers."""

    name = "bicubic"
    kernel = "bicubic"


class Bilinear(_Downscale):
    """MATLAB ``imresize(image, 1/scale, "bilinear")``: a triangle, widened by the scale."""

    name = "bilinear"
    kernel = "bilinear"


class Lanczos(_Downscale):
    """MATLAB ``imresize(image, 1/scale, "lanczos3")``."""

    name = "lanczos"
    kernel = "lanczos"


class Area(_Downscale):
    """The mean of each ``scale`` x ``scale`` block."""

    name = "area"
    kernel = "area"


class Nearest(_Downscale):
    """Every ``scale``-th pixel, the one at the centre of its block (right of it where ``scale`` is even)."""

    name = "nearest"
    kernel = "nearest"


@dataclass(frozen=True)
class Mtf(Checked):
    """A sensor with ``scale`` times larger pixels: Gaussian blur by its transfer function, then decimation.

    The Gaussian's frequency response is ``mtf`` at the Nyquist frequency of the smaller image, so
    sigma = scale sqrt(-2 ln mtf) / pi input pixels (Aiazzi et al. 2006, MTF-tailored pyramids). It is
    sampled at the centres of the large pixels, so that nothing is shifted. Linear.
    """

    name: ClassVar[str] = "mtf"

    scale: int = whole(low=1, high=64)
    """How many times smaller, a whole number >= 1."""
    mtf: float | tuple[float, ...] = number(0.3, 0.01, 0.999, per_band=True)
    """Response at Nyquist in [0.01, 0.999]: one number, or one per band."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The smaller image."""
        bands = self._bands(*image_BCHW.shape[1:])
        return torch.cat([band(image_BCHW[:, c : c + 1]) for c, band in enumerate(bands)], dim=1)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` of an image in the output's space; ``height`` and ``width`` are the input's."""
        bands = self._bands(image_BCHW.shape[1], height, width)
        return torch.cat([band.adjoint(image_BCHW[:, c : c + 1]) for c, band in enumerate(bands)], dim=1)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``, exactly."""
        bands = enumerate(self._bands(*estimate_BCHW.shape[1:]))
        return torch.cat(
            [band.prox(estimate_BCHW[:, c : c + 1], observed_BCHW[:, c : c + 1], rho) for c, band in bands],
            dim=1,
        )

    def _bands(self, channels: int, height: int, width: int) -> list[Separable]:
        smaller = _sizes_after(self.name, self.scale, height, width)
        sigmas = [
            self.scale * math.sqrt(-2 * math.log(mtf)) / math.pi for mtf in per_band(self, "mtf", channels)
        ]
        return [
            Separable(gaussian_weights(height, smaller[0], sigma), gaussian_weights(width, smaller[1], sigma))
            for sigma in sigmas
        ]


@functools.lru_cache(maxsize=64)
def gaussian_weights(size_in: int, size_out: int, sigma: float, radius: int | None = None) -> BandedMatrix:
    """A Gaussian of ``sigma`` input pixels sampled at the output pixels' centres, cut at ``radius``.

    ``radius`` is in input pixels, 4 sigma where it is not given.
    """
    reach = 4 * sigma + 0.5 if radius is None else radius

    def gaussian(distance: Tensor) -> Tensor:
        inside = distance.abs() <= reach
        return torch.where(inside, torch.exp(-0.5 * (distance / sigma) ** 2), torch.zeros_like(distance))

    return sampled(size_in, size_out, reach, gaussian)
