"""The kernel that turns the gradients of a sharp picture into those of a blurred one, and what is kept of it.

Shapes: H and W height and width of the planes, K side of the kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.kernel_estimation.planes import around_centre, transfer
from models.solvers.conjugate_gradient import conjugate_gradient

_WEIGHT = 5.0
"""Of the kernel's squares, for planes whose values spread by ``coarse_to_fine.SPREAD``."""
_LEAST = 0.05
"""Share of the greatest value below which nothing is kept."""
_LEAST_PART = 0.1
"""Of the sum, that a part has which hangs together and is kept."""


def fitted_kernel(sharp_2HW: Tensor, blurred_2HW: Tensor, start_KK: Tensor) -> Tensor:
    """KK: ``argmin_k sum |k * g - b|^2 + weight |k|^2`` over gradients across and down, then ``cleaned``.

    Cho and Lee 2009, "Fast motion deblurring", equation 10, by conjugate gradients.
    """
    side, like_HW = len(start_KK), sharp_2HW[0]
    sharp = torch.fft.rfft2(sharp_2HW)
    power = sharp.abs().square().sum(dim=0)
    crossed = (sharp.conj() * torch.fft.rfft2(blurred_2HW)).sum(dim=0)

    def normal(kernel_11KK: Tensor) -> Tensor:
        spread_HW = torch.fft.irfft2(power * transfer(kernel_11KK[0, 0], like_HW), s=like_HW.shape)
        return around_centre(spread_HW, side)[None, None] + _WEIGHT * kernel_11KK

    right_KK = around_centre(torch.fft.irfft2(crossed, s=like_HW.shape), side)
    solved = conjugate_gradient(
        normal, right_KK[None, None], start_KK[None, None], iterations=20, tolerance=1e-4
    )
    return cleaned(solved[0, 0])


def cleaned(kernel_KK: Tensor) -> Tensor:
    """KK, sum 1: nothing negative, nothing faint, no crumbs; a single point where nothing is left."""
    kernel_KK = torch.where(kernel_KK >= _LEAST * kernel_KK.max(), kernel_KK, 0.0).clamp(min=0)
    if not bool(kernel_KK.sum() > 0):
        return point(len(kernel_KK), kernel_KK)
    kernel_KK = kernel_KK / kernel_KK.sum()
    kept_KK = _large_parts(kernel_KK)
    return kept_KK / kept_KK.sum()


def centred(kernel_KK: Tensor) -> Tensor:
    """KK: moved by whole pixels, so that its centre of mass is in the middle; what falls out is lost."""
    side = len(kernel_KK)
    place_K = torch.arange(side).to(kernel_KK) - side // 2
    moves = [-round(float((kernel_KK.sum(dim=1 - axis) * place_K).sum())) for axis in range(2)]
    padded = F.pad(kernel_KK, (side,) * 4).roll(moves, (0, 1))[side : 2 * side, side : 2 * side]
    return padded / padded.sum()


def point(side: int, like: Tensor) -> Tensor:
    """KK: no blur."""
    kernel_KK = torch.zeros(side, side).to(like)
    kernel_KK[side // 2, side // 2] = 1
    return kernel_KK


def _large_parts(kernel_KK: Tensor) -> Tensor:
    from scipy import ndimage  # takes longer to import than the catalog may

    labels_KK, count = ndimage.label(kernel_KK.numpy() > 0, [[1, 1, 1]] * 3)
    part_KK = torch.from_numpy(labels_KK).long()
    sums_N = torch.zeros(count + 1).to(kernel_KK).index_add_(0, part_KK.flatten(), kernel_KK.flatten())
    keeps_N = sums_N >= min(_LEAST_PART, float(sums_N.max()))
    return torch.where(keeps_N[part_KK], kernel_KK, 0.0)
