"""Convolution with any kernel, by the Fourier transform: faster on a CPU than a direct one from 5 x 5 on.

Shapes: B batch, C channels, H and W height and width, K side of the kernel, P planes (images x channels).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.parameters import Checked, Words

BORDERS = ("symmetric", "circular")
"""What lies beyond the border: the mirrored image with its edge pixel repeated, or the image again."""

_CACHED_VALUES = 1 << 18
"""So many values of an image are transformed at once on a CPU: what stays in its cache."""


def require_kernel_fits(name: str, side: int, height: int, width: int) -> None:
    """Raises ``ValueError`` where the kernel is larger than the image."""
    if side > min(height, width):
        raise ValueError(
            f"{name}: the kernel has {side} x {side} pixels, so the image must have at least as many; "
            f"got {height} x {width}"
        )


@dataclass(frozen=True)
class Convolution(Checked):
    """The same kernel over every channel. Linear; ``prox`` is exact with circular borders.

    Raises ``ValueError`` for an image smaller than the kernel.
    """

    name: ClassVar[str]

    border: str = field(default="symmetric", kw_only=True, metadata={"allowed": Words(BORDERS)})
    """One of ``BORDERS``."""

    def kernel(self) -> Tensor:
        """KK float64, K odd, sum 1; a true convolution, so an impulse becomes this very picture."""
        raise NotImplementedError

    @property
    def kernel_side(self) -> int:
        """Of the kernel, in pixels: an image needs at least as many each way."""
        return len(self.kernel())

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The blurred image, same size."""
        return self._forward(image_BCHW)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` of an image; height and width are those of the image itself."""
        assert tuple(image_BCHW.shape[2:]) == (height, width), (image_BCHW.shape, height, width)
        kernel_KK = self._kernel_for(image_BCHW)
        if self.border == "circular":
            spectrum = _wrapped_spectrum(kernel_KK, height, width).conj()
            return _each_group(image_BCHW, lambda planes_PHW: _filtered(planes_PHW, spectrum))
        radius = kernel_KK.shape[0] // 2
        spectrum = _spectrum(kernel_KK, height, width).conj()

        def correlated(planes_PHW: Tensor) -> Tensor:
            canvas = planes_PHW.new_zeros(len(planes_PHW), *_canvas_size(kernel_KK, height, width))
            canvas[:, 2 * radius : 2 * radius + height, 2 * radius : 2 * radius + width] = planes_PHW
            return _fold_mirrored(_filtered(canvas, spectrum), radius, height, width)

        return _each_group(image_BCHW, correlated)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``.

        In closed form with circular borders; else by conjugate gradients to a residual of 1e-6.
        """
        height, width = estimate_BCHW.shape[2:]
        right_BCHW = self.adjoint(observed_BCHW, height, width) + rho * estimate_BCHW
        if self.border == "circular":
            power = _wrapped_spectrum(self._kernel_for(estimate_BCHW), height, width).abs().square()
            inverse = 1 / (power + rho)
            return _each_group(right_BCHW, lambda planes_PHW: _filtered(planes_PHW, inverse))

        def normal(x_BCHW: Tensor) -> Tensor:
            return self.adjoint(self._forward(x_BCHW), height, width) + rho * x_BCHW

        return conjugate_gradients(normal, right_BCHW, start_BCHW=estimate_BCHW)

    def _forward(self, image_BCHW: Tensor) -> Tensor:
        kernel_KK = self._kernel_for(image_BCHW)
        height, width = image_BCHW.shape[2:]
        if self.border == "circular":
            spectrum = _wrapped_spectrum(kernel_KK, height, width)
            return _each_group(image_BCHW, lambda planes_PHW: _filtered(planes_PHW, spectrum))
        radius = kernel_KK.shape[0] // 2
        spectrum = _spectrum(kernel_KK, height, width)

        def convolved(planes_PHW: Tensor) -> Tensor:
            canvas = _mirrored(planes_PHW, radius, *_canvas_size(kernel_KK, height, width))
            return _filtered(canvas, spectrum)[
                :, 2 * radius : 2 * radius + height, 2 * radius : 2 * radius + width
            ]

        return _each_group(image_BCHW, convolved)

    def _kernel_for(self, image_BCHW: Tensor) -> Tensor:
        kernel_KK = self.kernel()
        require_kernel_fits(self.name, kernel_KK.shape[0], image_BCHW.shape[2], image_BCHW.shape[3])
        return kernel_KK.to(image_BCHW)


def conjugate_gradients(
    normal: Callable[[Tensor], Tensor], right_BCHW: Tensor, start_BCHW: Tensor, tolerance: float = 1e-6
) -> Tensor:
    """Solves ``normal(x) = right`` for a symmetric positive definite ``normal``, image by image.

    Stops where every residual is below ``tolerance`` times its right side, or after 200 steps
    (Hestenes and Stiefel 1952).
    """

    def dot(a_BCHW: Tensor, b_BCHW: Tensor) -> Tensor:
        return (a_BCHW * b_BCHW).sum(dim=(1, 2, 3), keepdim=True)

    x_BCHW = start_BCHW
    residual_BCHW = right_BCHW - normal(x_BCHW)
    direction_BCHW, energy_B111 = residual_BCHW, dot(residual_BCHW, residual_BCHW)
    enough_B111 = tolerance**2 * dot(right_BCHW, right_BCHW)
    for _ in range(200):
        if bool((energy_B111 <= enough_B111).all()):
            break
        image_BCHW = normal(direction_BCHW)
        # An image that has converged must not divide by its vanishing energy while others go on.
        step_B111 = energy_B111 / dot(direction_BCHW, image_BCHW).clamp_min(1e-30)
        x_BCHW = x_BCHW + step_B111 * direction_BCHW
        residual_BCHW = residual_BCHW - step_B111 * image_BCHW
        previous_B111, energy_B111 = energy_B111, dot(residual_BCHW, residual_BCHW)
        direction_BCHW = residual_BCHW + energy_B111 / previous_B111.clamp_min(1e-30) * direction_BCHW
    return x_BCHW


def _each_group(image_BCHW: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    if image_BCHW.device.type != "cpu":  # a GPU wants few large launches
        return function(image_BCHW.flatten(0, 1)).view(image_BCHW.shape)
    # Never planes of two images in one transform: its last bits may depend on how many there are.
    planes = max(1, _CACHED_VALUES // (image_BCHW.shape[2] * image_BCHW.shape[3]))
    groups = [group_PHW for image_CHW in image_BCHW for group_PHW in torch.split(image_CHW, planes)]
    return torch.cat([function(group_PHW) for group_PHW in groups]).view(image_BCHW.shape)


def _canvas_size(kernel_KK: Tensor, height: int, width: int) -> tuple[int, int]:
    """The image and the border that the kernel reaches, or a little more for the transform's sake."""
    border = kernel_KK.shape[0] - 1
    return fast_length(height + border), fast_length(width + border)


@functools.lru_cache(maxsize=1024)
def fast_length(least: int) -> int:
    """The smallest length from ``least`` on with no prime factor above 5.

    A Fourier transform takes up to four times as long where the length has a large prime factor, and
    other lengths cost no more than their size.
    """
    length = least
    while not _only_small_factors(length):
        length += 1
    return length


def _only_small_factors(length: int) -> bool:
    for factor in (2, 3, 5):
        while length % factor == 0:
            length //= factor
    return length == 1


def _spectrum(kernel_KK: Tensor, height: int, width: int) -> Tensor:
    """Transfer function on the canvas, the kernel in its corner: what is filtered moves by the radius."""
    spectrum: Tensor = torch.fft.rfft2(kernel_KK, s=_canvas_size(kernel_KK, height, width))
    return spectrum


def _wrapped_spectrum(kernel_KK: Tensor, height: int, width: int) -> Tensor:
    """Transfer function on a periodic image, the kernel's centre at the origin."""
    radius = kernel_KK.shape[0] // 2
    canvas = torch.nn.functional.pad(kernel_KK, (0, width - len(kernel_KK), 0, height - len(kernel_KK)))
    spectrum: Tensor = torch.fft.rfft2(canvas.roll((-radius, -radius), dims=(0, 1)))
    return spectrum


def _filtered(planes_PHW: Tensor, spectrum: Tensor) -> Tensor:
    product = torch.fft.rfft2(planes_PHW).mul_(spectrum)
    filtered: Tensor = torch.fft.irfft2(product, s=planes_PHW.shape[1:])
    return filtered


def _mirror_index(size: int, radius: int, length: int, device: torch.device) -> Tensor:
    """Which pixel of ``size`` lies at each of ``length`` places, the first ``radius`` of them before it."""
    index = torch.arange(-radius, length - radius, device=device) % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def _mirrored(planes_PHW: Tensor, radius: int, height: int, width: int) -> Tensor:
    """``height`` x ``width`` of the mirrored image, from ``radius`` pixels before its corner on."""
    rows = _mirror_index(planes_PHW.shape[1], radius, height, planes_PHW.device)
    columns = _mirror_index(planes_PHW.shape[2], radius, width, planes_PHW.device)
    return planes_PHW.index_select(1, rows).index_select(2, columns)


def _fold_mirrored(canvas: Tensor, radius: int, height: int, width: int) -> Tensor:
    """The adjoint of ``_mirrored``, for a canvas that is 0 farther than ``radius`` from the image."""
    rows = _mirror_index(height, radius, canvas.shape[1], canvas.device)
    columns = _mirror_index(width, radius, canvas.shape[2], canvas.device)
    folded = canvas.new_zeros(len(canvas), height, canvas.shape[2]).index_add_(1, rows, canvas)
    return canvas.new_zeros(len(canvas), height, width).index_add_(2, columns, folded)
