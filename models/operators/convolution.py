"""Convolution with any kernel, by the Fourier transform: faster on a CPU than a direct one from 5 x 5 on.

Shapes: B batch, C channels, H and W height and width, K side of the kernel, P planes (images x channels).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.parameters import require_choice

BORDERS = ("symmetric", "circular")
"""What lies beyond the border: the mirrored image with its edge pixel repeated, or the image again."""


def require_kernel_fits(name: str, side: int, height: int, width: int) -> None:
    """Raises ``ValueError`` where the kernel is larger than the image."""
    if side > min(height, width):
        raise ValueError(
            f"{name}: the kernel has {side} x {side} pixels, so the image must have at least as many; "
            f"got {height} x {width}"
        )


@dataclass(frozen=True)
class Convolution:
    """The same kernel over every channel. Linear; ``prox`` is exact with circular borders.

    Raises ``ValueError`` for an image smaller than the kernel.
    """

    name: ClassVar[str]

    border: str = field(default="symmetric", kw_only=True)
    """One of ``BORDERS``."""

    def __post_init__(self) -> None:
        require_choice(self, "border", BORDERS)

    def kernel(self) -> Tensor:
        """KK float64, K odd, sum 1; a true convolution, so an impulse becomes this very picture."""
        raise NotImplementedError

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The blurred image, same size."""
        return self._forward(image_BCHW)

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """``A'`` of an image; height and width are those of the image itself."""
        assert tuple(image_BCHW.shape[2:]) == (height, width), (image_BCHW.shape, height, width)
        kernel_KK = self._kernel_for(image_BCHW)
        radius = 0 if self.border == "circular" else kernel_KK.shape[0] // 2

        def correlated(plane_HW: Tensor) -> Tensor:
            canvas = torch.nn.functional.pad(plane_HW, (radius,) * 4)
            spectrum = _spectrum(kernel_KK, canvas.shape[0], canvas.shape[1]).conj()
            return _fold_mirrored(_filtered(canvas, spectrum), radius)

        return _each_plane(image_BCHW, correlated)

    def prox(self, estimate_BCHW: Tensor, observed_BCHW: Tensor, rho: float) -> Tensor:
        """``argmin_x |A x - observed|^2 + rho |x - estimate|^2``.

        In closed form with circular borders; else by conjugate gradients to a residual of 1e-6.
        """
        height, width = estimate_BCHW.shape[2:]
        right_BCHW = self.adjoint(observed_BCHW, height, width) + rho * estimate_BCHW
        if self.border == "circular":
            power = _spectrum(self._kernel_for(estimate_BCHW), height, width).abs().square() + rho
            return _each_plane(right_BCHW, lambda plane_HW: _filtered(plane_HW, 1 / power))

        def normal(x_BCHW: Tensor) -> Tensor:
            return self.adjoint(self._forward(x_BCHW), height, width) + rho * x_BCHW

        return conjugate_gradients(normal, right_BCHW, start_BCHW=estimate_BCHW)

    def _forward(self, image_BCHW: Tensor) -> Tensor:
        kernel_KK = self._kernel_for(image_BCHW)
        radius = 0 if self.border == "circular" else kernel_KK.shape[0] // 2
        height, width = image_BCHW.shape[2:]

        def convolved(plane_HW: Tensor) -> Tensor:
            canvas = _mirrored(plane_HW, radius)
            result = _filtered(canvas, _spectrum(kernel_KK, canvas.shape[0], canvas.shape[1]))
            return result[radius : radius + height, radius : radius + width]

        return _each_plane(image_BCHW, convolved)

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


def _each_plane(image_BCHW: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    # Plane by plane: transforms of one plane stay in the cache and bound the memory.
    planes = torch.stack([function(plane_HW) for plane_HW in image_BCHW.flatten(0, 1)])
    return planes.view(image_BCHW.shape)


def _spectrum(kernel_KK: Tensor, height: int, width: int) -> Tensor:
    """Transfer function of the kernel with its centre at the origin."""
    radius = kernel_KK.shape[0] // 2
    canvas = kernel_KK.new_zeros(height, width)
    canvas[: kernel_KK.shape[0], : kernel_KK.shape[1]] = kernel_KK
    spectrum: Tensor = torch.fft.rfft2(canvas.roll((-radius, -radius), dims=(0, 1)))
    return spectrum


def _filtered(plane_HW: Tensor, spectrum: Tensor) -> Tensor:
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(plane_HW) * spectrum, s=plane_HW.shape)
    return filtered


def _mirror_index(size: int, radius: int, device: torch.device) -> Tensor:
    index = torch.arange(-radius, size + radius, device=device) % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def _mirrored(plane_HW: Tensor, radius: int) -> Tensor:
    if radius == 0:
        return plane_HW
    rows, columns = (_mirror_index(size, radius, plane_HW.device) for size in plane_HW.shape)
    return plane_HW[rows][:, columns]


def _fold_mirrored(canvas: Tensor, radius: int) -> Tensor:
    """The adjoint of ``_mirrored``."""
    if radius == 0:
        return canvas
    height, width = (side - 2 * radius for side in canvas.shape)
    rows, columns = (_mirror_index(size, radius, canvas.device) for size in (height, width))
    folded = canvas.new_zeros(height, canvas.shape[1]).index_add_(0, rows, canvas)
    return canvas.new_zeros(height, width).index_add_(1, columns, folded)
