"""Frames that are blurred each in its own way, added so that every frequency comes from those that kept it.

Delbracio and Sapiro, "Burst Deblurring: Removing Camera Shake Through Fourier Burst Accumulation", CVPR 2015:
shake takes away, it never adds, so the larger a frequency is in a frame, the less it was blurred. Frames are
laid on the image by flow, and do not count where they do not fit it.

Shapes: B images, T frames of each, C channels, H and W height and width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.stacks.flow import flow_between, warped

POWER = 11.0
"""Of a frequency's size in a frame's weight; the paper takes 11."""
FIT = 0.2
"""Root mean square difference at which a frame gives way to the image, by e."""
WINDOW = 9
"""Side of the square over which that is looked at."""
SMOOTH = 5
"""Radius over which a frequency's size is averaged."""


@torch.no_grad()
def accumulated(image_BCHW: Tensor, frames_BTCHW: Tensor) -> Tensor:
    """BCHW: the image with what its frames know better; the image itself where there are none."""
    if not frames_BTCHW.shape[1]:
        return image_BCHW
    laid = [image_BCHW, *(_laid(image_BCHW, each_BCHW) for each_BCHW in frames_BTCHW.unbind(1))]
    spectra = torch.fft.rfft2(torch.stack(laid, 1).double())
    size_BT1HW = _smoothed(spectra.abs().mean(2, keepdim=True))
    share_BT1HW = (size_BT1HW / size_BT1HW.amax(1, keepdim=True).clamp_min(1e-12)) ** POWER
    # The largest share is one, but where no frame has anything of a frequency.
    total_BCHW = (share_BT1HW * spectra).sum(1) / share_BT1HW.sum(1).clamp_min(1.0)
    height, width = image_BCHW.shape[-2:]
    restored_BCHW: Tensor = torch.fft.irfft2(total_BCHW, s=(height, width))
    return restored_BCHW.to(image_BCHW)


def _laid(image_BCHW: Tensor, frame_BCHW: Tensor) -> Tensor:
    flow_B2HW, found_B = flow_between(image_BCHW, frame_BCHW)
    moved_BCHW = warped(frame_BCHW, flow_B2HW, "bicubic")
    missed_B1HW = (moved_BCHW - image_BCHW).square().mean(1, keepdim=True)
    missed_B1HW = F.avg_pool2d(missed_B1HW, WINDOW, 1, WINDOW // 2, count_include_pad=False)
    fits_B1HW = torch.exp(-missed_B1HW / FIT**2) * found_B[:, None, None, None]
    return fits_B1HW * moved_BCHW + (1 - fits_B1HW) * image_BCHW


def _smoothed(size_BT1HW: Tensor) -> Tensor:
    """Over neighbouring frequencies, which shake treats alike."""
    centred = torch.fft.fftshift(size_BT1HW.flatten(0, 2), dim=-2)[:, None]
    mean = F.avg_pool2d(centred, 2 * SMOOTH + 1, 1, SMOOTH, count_include_pad=False)
    smoothed: Tensor = torch.fft.ifftshift(mean[:, 0], dim=-2)
    return smoothed.view_as(size_BT1HW)
