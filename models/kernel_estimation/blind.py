"""A kernel with the confidence that it is one: the spectrum of the image must be dark where the kernel's is.

Shapes: C channels, H and W height and width, K side of a kernel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.kernel_estimation.coarse_to_fine import estimate_kernel
from models.kernel_estimation.found import Estimate, nothing_found
from models.kernel_estimation.planes import busiest_part
from models.kernel_estimation.spectra import PART, SIDE, mean_spectrum, power_of, resemblance

CONFIDENT = 0.4
"""Resemblance from which a kernel is used."""
_SIDE = 31
"""Of the kernel: blurs of up to 15 pixels each way."""
_WINDOW = 384
"""Side of the part of an image that is looked at, in pixels."""
_SHARP = 0.9
"""Spread of a kernel that blurs nothing that can be seen, in pixels."""
_RIM, _INNER_SHARE = 2, 0.9
"""Width of the rim of a kernel, and what lies within it at least where the kernel is seen as a whole."""
_FLAT = 0.01
"""Standard deviation of an image that shows nothing, as a fraction of the range."""


def blind(image_CHW: Tensor) -> Estimate:
    """Of any blur that is the same all over the image: camera shake, motion, defocus."""
    grey_HW = image_CHW.float().mean(dim=0)
    if min(grey_HW.shape) < SIDE:
        size = " x ".join(map(str, grey_HW.shape))
        return nothing_found(f"{size} pixels are too few to tell a blur from; it takes {SIDE} each way")
    window_HW = busiest_part(grey_HW, _WINDOW)
    spectrum_FR = mean_spectrum(busiest_part(grey_HW, PART))
    if spectrum_FR is None or float(window_HW.std()) < _FLAT:
        return nothing_found("it shows nothing that a blur could be told from")
    kernel_KK = estimate_kernel(window_HW, _SIDE)
    confidence = max(resemblance(spectrum_FR, power_of(kernel_KK)), 0.0)
    return Estimate(kernel_KK, confidence, _doubt(kernel_KK, confidence))


def _doubt(kernel_KK: Tensor, confidence: float) -> str:
    if spread(kernel_KK) < _SHARP:
        return "it is sharp already: what was found blurs less than a pixel"
    radius = len(kernel_KK) // 2
    inner_KK = kernel_KK[_RIM:-_RIM, _RIM:-_RIM]
    if float(inner_KK.sum()) < _INNER_SHARE:
        return f"a blur of more than {radius - _RIM} pixels each way, if it is one, cannot be told"
    if confidence < CONFIDENT:
        return (
            f"its spectrum does not look like one of the blur that was found: {confidence:.2f} agree, "
            f"{CONFIDENT} is asked for"
        )
    return ""


def spread(kernel_KK: Tensor) -> float:
    """Root of the mean squared distance from the centre of mass, in pixels."""
    place_K = torch.arange(len(kernel_KK)).to(kernel_KK)
    variance = 0.0
    for axis in range(2):
        share_K = kernel_KK.sum(dim=axis)
        variance += float((share_K * (place_K - (share_K * place_K).sum()).square()).sum())
    return math.sqrt(variance)
