"""Undoing a known blur by least squares with a quadratic penalty, whatever lies beyond the border.

Where the blur wraps around the border, everything is diagonal in the Fourier domain. Elsewhere what was
seen is a part of a larger blurred scene: the scene is restored as far as the kernel reaches beyond the
edges, and only what was seen counts (Reeves 2005, "Fast image restoration without boundary artifacts";
Almeida and Figueiredo 2013, "Deconvolving images with unknown boundaries using the alternating direction
method of multipliers"). An image and its mirror image would not do: a kernel that is not symmetric blurs
the two differently.

Shapes: B batch, C channels, K kernel side, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.operators.base import LinearOperator
from models.operators.convolution import fast_length
from models.solvers.conjugate_gradient import conjugate_gradient
from models.solvers.forward import linear_part
from models.solvers.point_spread import transfer_function

Penalty = Callable[[int, int], Tensor]
"""B x C x H x (W/2 + 1) weights of a squared spectrum, for a height and a width."""
_STEPS, _TOLERANCE = 200, 1e-6
_LEAST_WEIGHT = 1e-2
"""In the preconditioner: with less, steps towards frequencies that the blur passed not at all come first, and
where there is hardly any noise, what lies beyond the edges does not settle."""


def wraps_around(operators: Sequence[LinearOperator], kernel_CKK: Tensor, like_BCHW: Tensor) -> bool:
    """Whether the blur is circular for images of this size: tried on random pixels."""
    channels, height, width = like_BCHW.shape[1:]
    rng = torch.Generator(device=like_BCHW.device).manual_seed(0)
    shape = (1, channels, height, width)
    field_1CHW = torch.rand(shape, generator=rng, dtype=like_BCHW.dtype, device=like_BCHW.device)
    transfer_CHW = transfer_function(kernel_CKK.to(like_BCHW), height, width)
    expected_1CHW = torch.fft.irfft2(torch.fft.rfft2(field_1CHW) * transfer_CHW, s=(height, width))
    try:
        for operator in linear_part(operators):
            field_1CHW = operator(field_1CHW, rng)
    except ValueError:  # the image is smaller than the kernel
        return False
    return float((field_1CHW - expected_1CHW).abs().max()) < 1e-3


def deconvolve_periodic(image_BCHW: Tensor, kernel_CKK: Tensor, penalty: Penalty) -> Tensor:
    """``argmin_x |k * x - y|^2 + penalty`` in closed form, for a blur that wraps around."""
    height, width = image_BCHW.shape[-2:]
    transfer_CHW = transfer_function(kernel_CKK, height, width)
    power_BCHW = transfer_CHW.abs().square() + penalty(height, width)
    # Where the blur leaves nothing and nothing is asked of the image, 0 is the least-squares answer.
    filter_BCHW = torch.where(power_BCHW > 0, transfer_CHW.conj() / power_BCHW, 0.0)
    return _filtered(filter_BCHW, image_BCHW)


def deconvolve_cut_out(image_BCHW: Tensor, kernel_CKK: Tensor, penalty: Penalty) -> Tensor:
    """``argmin_x |M (k * x) - y|^2 + penalty``: M cuts the image out of a scene that x covers.

    By conjugate gradients, preconditioned with the inverse for a scene that is seen as a whole.
    """
    height, width = image_BCHW.shape[-2:]
    reach = kernel_CKK.shape[-1] // 2
    sides = tuple(fast_length(side + 2 * reach) for side in (height, width))
    top, left = (sides[0] - height) // 2, (sides[1] - width) // 2
    window = (..., slice(top, top + height), slice(left, left + width))
    transfer_CHW, penalty_BCHW = transfer_function(kernel_CKK, *sides), penalty(*sides)
    inverse_BCHW = 1 / (transfer_CHW.abs().square() + penalty_BCHW.clamp(min=_LEAST_WEIGHT))
    mean_BC11 = image_BCHW.mean(dim=(-2, -1), keepdim=True)

    def in_scene(seen_BCHW: Tensor) -> Tensor:
        scene_BCHW = seen_BCHW.new_zeros(*seen_BCHW.shape[:2], *sides)
        scene_BCHW[window] = seen_BCHW
        return scene_BCHW

    def normal(x_BCHW: Tensor) -> Tensor:
        spectrum_BCHW = torch.fft.rfft2(x_BCHW)
        seen_BCHW = torch.fft.irfft2(transfer_CHW * spectrum_BCHW, s=sides)[window]
        back_BCHW = transfer_CHW.conj() * torch.fft.rfft2(in_scene(seen_BCHW))
        answer_BCHW: Tensor = torch.fft.irfft2(back_BCHW + penalty_BCHW * spectrum_BCHW, s=sides)
        return answer_BCHW

    right_BCHW = _filtered(transfer_CHW.conj(), in_scene(image_BCHW - mean_BC11))
    scene_BCHW = conjugate_gradient(
        normal,
        right_BCHW,
        torch.zeros_like(right_BCHW),
        iterations=_STEPS,
        tolerance=_TOLERANCE,
        precondition=lambda residual_BCHW: _filtered(inverse_BCHW, residual_BCHW),
    )
    return scene_BCHW[window] + mean_BC11


def _filtered(filter_BCHW: Tensor, image_BCHW: Tensor) -> Tensor:
    height, width = image_BCHW.shape[-2:]
    filtered_BCHW: Tensor = torch.fft.irfft2(filter_BCHW * torch.fft.rfft2(image_BCHW), s=(height, width))
    return filtered_BCHW
