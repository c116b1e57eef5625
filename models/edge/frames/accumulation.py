"""``models.stacks.accumulation`` for a graph: all frames at once, spectra without complex numbers.

Shapes: B images, T frames of each, S those and the image, C channels, H and W height and width, K
frequencies of a row, 2 real and imaginary part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.edge.frames.flow import Places, mean_around, sampled
from models.edge.frames.spectra import half_spectrum_of, of_half_spectrum, size_of
from models.stacks.accumulation import FIT, POWER, SMOOTH, WINDOW


def accumulated(image_BCHW: Tensor, frames_TBCHW: Tensor, flow_TB2HW: Tensor, found_TB: Tensor) -> Tensor:
    """BCHW: the image with what its frames know better; one frame or more, sides that are even.

    The flow is from the image to each frame, with 1 where it was found and else 0.
    """
    laid_TBCHW = _laid(image_BCHW, frames_TBCHW, flow_TB2HW, found_TB)
    stack_BSCHW = torch.cat([image_BCHW[None], laid_TBCHW]).transpose(0, 1)
    spectra_BSCHK2 = half_spectrum_of(stack_BSCHW.double())
    size_BS1HK = _smoothed(size_of(spectra_BSCHK2).mean(2, keepdim=True))
    share_BS1HK = (size_BS1HK / size_BS1HK.amax(1, keepdim=True).clamp_min(1e-12)) ** POWER
    total_BCHK2 = (share_BS1HK[..., None] * spectra_BSCHK2).sum(1)
    total_BCHK2 = total_BCHK2 / share_BS1HK.sum(1).clamp_min(1.0)[..., None]
    return of_half_spectrum(total_BCHK2, image_BCHW.shape[-1]).to(image_BCHW)


def _laid(image_BCHW: Tensor, frames_TBCHW: Tensor, flow_TB2HW: Tensor, found_TB: Tensor) -> Tensor:
    image_NCHW = image_BCHW[None].expand_as(frames_TBCHW).flatten(0, 1)
    moved_NCHW = sampled(
        frames_TBCHW.flatten(0, 1), Places(image_BCHW).moved(flow_TB2HW.flatten(0, 1)), "bicubic"
    )
    missed_N1HW = (moved_NCHW - image_NCHW).square().mean(1, keepdim=True)
    missed_N1HW = mean_around(missed_N1HW, WINDOW)
    fits_N1HW = torch.exp(-missed_N1HW / FIT**2) * found_TB.flatten()[:, None, None, None]
    laid_NCHW = fits_N1HW * moved_NCHW + (1 - fits_N1HW) * image_NCHW
    return torch.unflatten(laid_NCHW, 0, frames_TBCHW.shape[:2])


def _smoothed(size_BS1HK: Tensor) -> Tensor:
    """Over neighbouring frequencies, in float32, which is what ONNX Runtime has means of."""
    rows = size_BS1HK.shape[-2] // 2
    centred_N1HK = _swapped(size_BS1HK.flatten(0, 1).float(), rows)
    mean_N1HK = mean_around(centred_N1HK, 2 * SMOOTH + 1)
    return _swapped(mean_N1HK, rows).double().view(size_BS1HK.shape)


def _swapped(values_HK: Tensor, rows: int) -> Tensor:
    """``torch.fft.fftshift`` over the rows, of which there are ``2 * rows``."""
    return torch.cat([values_HK[..., rows:, :], values_HK[..., :rows, :]], -2)
