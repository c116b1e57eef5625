"""The spectrum of a blurred image, and how far it looks like that of a blur.

The logarithm of the spectrum, averaged over windows (Welch 1967) and freed of what changes slowly over it,
which is the scene's, has the dark rings, stripes or spots of the blur's own (Cannon 1976, "Blind
deconvolution of spatially invariant image blurs with phase").

Shapes: C channels, H and W height and width, S side of a window, F its frequencies down and R across, K side
of a kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 128
"""Of the windows whose spectra are averaged, in pixels."""
PART = 768
"""Side of the part of an image that is looked at, in pixels."""
_STEP = 32
"""From one window to the next."""
_LOCAL = 17
"""Width of the neighbourhood whose mean is taken off a spectrum, in frequencies of a window."""
_LOWEST, _HIGHEST = 0.03, 0.4
"""Frequencies that are compared, in cycles per pixel: above, there is mostly noise."""
_FLOOR = 3e-3
"""Noise in the spectrum of a blur: how deep its zeros are."""
_BRIGHT = 0.1
"""Power of what a blur leaves bright. Its dark parts must be seen beside that: a scene of parallel edges is
bright along a line as well."""
_FEWEST = 50
"""Frequencies that a blur darkens: one that darkens fewer cannot be told."""


def mean_spectrum(grey_HW: Tensor) -> Tensor | None:
    """FR: mean power of all windows, each as loud as the others; nothing where all are flat."""
    windows_NSS = grey_HW.unfold(0, SIDE, _STEP).unfold(1, SIDE, _STEP).reshape(-1, SIDE, SIDE)
    taper_S = torch.hann_window(SIDE, periodic=False).to(grey_HW)
    total_FR, count = torch.zeros(SIDE, SIDE // 2 + 1).to(grey_HW), 0
    for window_SS in windows_NSS:
        variance = float(window_SS.var())
        if variance > 1e-6:
            centred_SS = (window_SS - window_SS.mean()) * taper_S[:, None] * taper_S
            total_FR += torch.fft.rfft2(centred_SS).abs().square() / variance
            count += 1
    return total_FR / count if count else None


def resemblance(spectrum_FR: Tensor, power_FR: Tensor) -> float:
    """-1 to 1: how far an image's spectrum looks like that of a blur, all over it and where the blur is dark.

    The lesser of both correlations; 0 for a blur that darkens next to nothing.
    """
    seen_FR, own_FR = ripples(spectrum_FR), ripples_of(power_FR)
    within_FR = compared()
    beyond_FR = within_FR & torch.fft.fftshift(power_FR < _BRIGHT, dim=0)
    if int(beyond_FR.sum()) < _FEWEST:
        return 0.0
    return min(alike(seen_FR, own_FR, within_FR), alike(seen_FR, own_FR, beyond_FR))


def ripples_of(power_FR: Tensor) -> Tensor:
    """Of a blur with this power."""
    return ripples(power_FR + _FLOOR)


def power_of(kernel_KK: Tensor) -> Tensor:
    """FR: squared transfer function of a kernel no larger than a window."""
    placed_SS = torch.zeros(SIDE, SIDE).to(kernel_KK)
    placed_SS[: len(kernel_KK), : len(kernel_KK)] = kernel_KK
    power_FR: Tensor = torch.fft.rfft2(placed_SS).abs().square()
    return power_FR


def ripples(power_FR: Tensor) -> Tensor:
    """FR: the logarithm less its local mean, the frequency 0 in the middle of the first axis."""
    log_FR = torch.fft.fftshift(power_FR.clamp(min=1e-30).log(), dim=0)
    around = F.pad(log_FR[None, None], (_LOCAL // 2,) * 4, mode="reflect")
    ripples_FR: Tensor = log_FR - F.avg_pool2d(around, _LOCAL, stride=1)[0, 0]
    return ripples_FR


def alike(first_FR: Tensor, second_FR: Tensor, where_FR: Tensor) -> float:
    """Correlation over some frequencies."""
    pair_2N = torch.stack([first_FR[where_FR], second_FR[where_FR]])
    centred_2N = pair_2N - pair_2N.mean(dim=1, keepdim=True)
    lengths_2 = centred_2N.norm(dim=1).clamp(min=1e-12)
    return float((centred_2N[0] * centred_2N[1]).sum() / lengths_2.prod())


def frequencies() -> tuple[Tensor, Tensor]:
    """F1 and R, in cycles per pixel."""
    return torch.fft.fftfreq(SIDE)[:, None], torch.fft.rfftfreq(SIDE)


def compared() -> Tensor:
    """Where spectra are compared: FR, bool, as ``ripples`` has them."""
    down_F1, across_R = frequencies()
    radius_FR = torch.fft.fftshift((down_F1.square() + across_R.square()).sqrt(), dim=0)
    within_FR: Tensor = (radius_FR > _LOWEST) & (radius_FR < _HIGHEST)
    return within_FR
