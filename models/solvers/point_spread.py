"""The kernel of a blur that is known only as operators, and its transfer function.

Shapes: C channels of the kernel (1 where all channels share it), K kernel side, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contract import RestorerError
from models.operators.base import LinearOperator
from models.solvers.forward import linear_part

_SIDE = 257
"""Of the field in which the operators are tried: kernels may be up to half as wide."""
_TOLERANCE = 1e-3


def point_spread(operators: Sequence[LinearOperator], channels: int, like: Tensor) -> Tensor:
    """CKK (K odd): what the operators make of a single bright pixel, cropped to where it is not 0.

    Raises ``RestorerError`` (``CONDITION_MISSING``) where the operators are no blur: they change the
    size, depend on the position (masks) or reach farther than 128 pixels.
    """
    operators = linear_part(operators)
    rng = torch.Generator(device=like.device).manual_seed(0)
    # In double precision: what a transform rounds in single stands above the edge of a wide, flat kernel.
    point_1CHW = like.new_zeros((1, channels, _SIDE, _SIDE), dtype=torch.float64)
    point_1CHW[..., _SIDE // 2, _SIDE // 2] = 1.0
    kernel_CKK = _apply(operators, point_1CHW, rng)[0]
    if kernel_CKK.shape[-2:] != (_SIDE, _SIDE):
        raise _no_blur(f"they turn {_SIDE} x {_SIDE} pixels into {tuple(kernel_CKK.shape[-2:])}")
    radius = _radius(kernel_CKK)
    if radius >= _SIDE // 2:
        raise _no_blur(f"they reach farther than {_SIDE // 2} pixels")
    kernel_CKK = kernel_CKK[:, *(slice(_SIDE // 2 - radius, _SIDE // 2 + radius + 1),) * 2]
    _check_invariant(operators, kernel_CKK, rng)
    return kernel_CKK.to(like)


def transfer_function(kernel_CKK: Tensor, height: int, width: int) -> Tensor:
    """C x H x (W/2 + 1), complex: the real FFT of the kernel, centred on the first pixel, wrapped around."""
    rows_K, columns_K = (_wrapped(kernel_CKK.shape[-1], side, kernel_CKK.device) for side in (height, width))
    placed_CHW = kernel_CKK.new_zeros((kernel_CKK.shape[0], height, width))
    index = (
        torch.arange(len(kernel_CKK), device=kernel_CKK.device)[:, None, None],
        rows_K[:, None],
        columns_K,
    )
    placed_CHW.index_put_(index, kernel_CKK, accumulate=True)
    spectrum_CHW: Tensor = torch.fft.rfft2(placed_CHW)
    return spectrum_CHW


def gradient_energy(height: int, width: int, like: Tensor) -> Tensor:
    """H x (W/2 + 1): squared transfer function of the periodic forward differences, ``4 sin^2``."""
    down_H = 4 * torch.sin(torch.pi * torch.fft.fftfreq(height, dtype=like.dtype, device=like.device)) ** 2
    right_W = 4 * torch.sin(torch.pi * torch.fft.rfftfreq(width, dtype=like.dtype, device=like.device)) ** 2
    return down_H[:, None] + right_W


def multiplicity(width: int, like: Tensor) -> Tensor:
    """W/2 + 1: how many columns of the full transform each column of the real one stands for."""
    counts_W = torch.full((width // 2 + 1,), 2.0, dtype=like.dtype, device=like.device)
    counts_W[0] = 1.0
    if width % 2 == 0:
        counts_W[-1] = 1.0
    return counts_W


def _apply(operators: Sequence[LinearOperator], image_BCHW: Tensor, rng: torch.Generator) -> Tensor:
    try:
        for operator in operators:
            image_BCHW = operator(image_BCHW, rng)
    except ValueError as error:
        raise _no_blur(str(error)) from None
    return image_BCHW


def _radius(kernel_CKK: Tensor) -> int:
    """Largest distance from the centre, along an axis, of a value that is not 0."""
    rows_columns = (kernel_CKK.abs() > 1e-7 * kernel_CKK.abs().max()).any(dim=0).nonzero()
    return int((rows_columns - _SIDE // 2).abs().max()) if len(rows_columns) else 0


def _wrapped(kernel_side: int, side: int, device: torch.device) -> Tensor:
    return (torch.arange(kernel_side, device=device) - kernel_side // 2) % side


def _check_invariant(operators: Sequence[LinearOperator], kernel_CKK: Tensor, rng: torch.Generator) -> None:
    """A blur treats every position alike: tried on a field of random pixels, away from its edges."""
    channels, side = kernel_CKK.shape[0], kernel_CKK.shape[-1]
    field_1CHW = torch.rand(
        (1, channels, _SIDE, _SIDE), generator=rng, dtype=kernel_CKK.dtype, device=kernel_CKK.device
    )
    blurred_1CHW = _apply(operators, field_1CHW, rng)
    expected_1CHW = torch.fft.irfft2(
        torch.fft.rfft2(field_1CHW) * transfer_function(kernel_CKK, _SIDE, _SIDE), s=(_SIDE, _SIDE)
    )
    error_1CHW = F.pad(blurred_1CHW - expected_1CHW, (-(side // 2),) * 4)
    if float(error_1CHW.abs().max()) > _TOLERANCE:
        raise _no_blur("they do not treat all positions alike")


def _no_blur(why: str) -> RestorerError:
    return RestorerError(
        "CONDITION_MISSING",
        f"the operators of the degradation are no blur: {why}; use a solver such as tikhonov",
    )
