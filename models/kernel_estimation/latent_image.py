"""A sharp picture of strong edges that would give a blurred one: to find a kernel by, no restoration.

Pan, Hu, Su and Yang 2014, "Deblurring text images via L0-regularized intensity and gradient prior", section
3, with the prior on gradients alone: few pixels may differ from their neighbours, each as much as it likes
(half-quadratic splitting as Xu, Lu, Xu and Jia 2011, "Image smoothing via L0 gradient minimization").

Shapes: H and W height and width of the plane, K side of the kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.kernel_estimation.planes import across, divergence, down, laplacian_spectrum, transfer

_STIFFEST = 1e5


def latent_image(blurred_HW: Tensor, kernel_KK: Tensor, weight: float) -> Tensor:
    """HW: ``argmin_x |k * x - y|^2 + weight #{pixels with a gradient}``, approximately."""
    kernel_spectrum, slopes = transfer(kernel_KK, blurred_HW), laplacian_spectrum(blurred_HW)
    data = kernel_spectrum.conj() * torch.fft.rfft2(blurred_HW)
    power = kernel_spectrum.abs().square()
    image_HW, stiffness = blurred_HW, 2 * weight
    while stiffness < _STIFFEST:
        right_HW, down_HW = across(image_HW), down(image_HW)
        counts_HW = right_HW.square() + down_HW.square() >= weight / stiffness
        edges_HW = divergence(right_HW * counts_HW, down_HW * counts_HW)
        spectrum = (data + stiffness * torch.fft.rfft2(edges_HW)) / (power + stiffness * slopes)
        image_HW = torch.fft.irfft2(spectrum, s=blurred_HW.shape)
        stiffness *= 2
    return image_HW
