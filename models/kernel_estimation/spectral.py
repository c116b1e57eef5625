"""Blurs of one or two parameters, by the dark rings or stripes that they leave in the spectrum of an image.

A disc and a straight line have spectra with zeros (Cannon 1976, "Blind deconvolution of spatially invariant
image blurs with phase"). The logarithm of the spectrum, averaged over windows (Welch 1967) and freed of what
changes slowly over it, which is the scene's, is compared with that of every candidate.

Shapes: C channels, H and W height and width, S side of a window, F its frequencies down and R across.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.kernel_estimation.found import Estimate, nothing_found
from models.kernel_estimation.planes import busiest_part
from models.operators.blur import DefocusBlur
from models.operators.motion import laid_on_grid

T = TypeVar("T")

_SIDE, _STEP = 128, 32
"""Of the windows whose spectra are averaged, and from one to the next, in pixels."""
_PART = 768
"""Side of the part of an image that is looked at, in pixels."""
_LOCAL = 17
"""Width of the neighbourhood whose mean is taken off a spectrum, in frequencies of a window."""
_LOWEST, _HIGHEST = 0.03, 0.4
"""Frequencies that are compared, in cycles per pixel: above, there is mostly noise."""
_FLOOR = 3e-3
"""Noise in the spectrum of a candidate: how deep its zeros are."""
_BRIGHT = 0.1
"""Power of what lies amid the rings or stripes. Those must be seen beside it: a scene of parallel edges looks
bright along a line as well."""
_ALIKE = 0.25
"""Correlation from which a blur is believed."""
_RADII = torch.arange(1.5, 12.01, 0.25).tolist()
_LENGTHS, _ANGLES = range(4, 31), range(0, 180, 6)


def defocus(image_CHW: Tensor) -> Estimate:
    """Of a lens out of focus: the disc's radius, 1.5 to 12 pixels, to a quarter of one."""
    candidates = ((radius, _disc_power(radius)) for radius in _RADII)

    def kernel(radius: float) -> Tensor:
        return DefocusBlur(radius=radius).kernel()

    return _best(image_CHW, candidates, kernel, lambda radius: {"radius": radius})


def straight_motion(image_CHW: Tensor) -> Estimate:
    """Of a steady motion: 4 to 30 pixels, and its direction, to 6 degrees, from x towards y (down)."""
    pairs = ((length, angle) for length in _LENGTHS for angle in _ANGLES)
    candidates = ((pair, _line_power(*pair)) for pair in pairs)

    def parameters(pair: tuple[int, int]) -> dict[str, float]:
        return {"length": pair[0], "angle": pair[1]}

    return _best(image_CHW, candidates, lambda pair: line(*pair), parameters)


def _best(
    image_CHW: Tensor,
    candidates: Iterable[tuple[T, Tensor]],
    kernel: Callable[[T], Tensor],
    parameters: Callable[[T], dict[str, float]],
) -> Estimate:
    grey_HW = image_CHW.float().mean(dim=0)
    if min(grey_HW.shape) < _SIDE:
        size = " x ".join(map(str, grey_HW.shape))
        return nothing_found(f"{size} pixels are too few to tell a blur from; it takes {_SIDE} each way")
    spectrum_FR = _spectrum(busiest_part(grey_HW, _PART))
    if spectrum_FR is None:
        return nothing_found("it shows nothing that a blur could be told from")
    compared_FR, seen_FR = _compared(), _ripples(spectrum_FR)
    scored = (
        (_alike(seen_FR, _ripples(power_FR + _FLOOR), compared_FR), which, power_FR)
        for which, power_FR in candidates
    )
    confidence, best, power_FR = max(scored, key=lambda each: each[0])
    beyond_FR = compared_FR & torch.fft.fftshift(power_FR < _BRIGHT, dim=0)
    confidence = min(confidence, _alike(seen_FR, _ripples(power_FR + _FLOOR), beyond_FR))
    doubt = "" if confidence >= _ALIKE else (
        f"its spectrum does not look like one of such a blur: {confidence:.2f} agree, {_ALIKE} is asked for"
    )  # fmt: skip
    return Estimate(kernel(best), max(confidence, 0.0), doubt, parameters(best))


def _spectrum(grey_HW: Tensor) -> Tensor | None:
    """FR: mean power of all windows, each as loud as the others; nothing where all are flat."""
    windows_NSS = grey_HW.unfold(0, _SIDE, _STEP).unfold(1, _SIDE, _STEP).reshape(-1, _SIDE, _SIDE)
    taper_S = torch.hann_window(_SIDE, periodic=False).to(grey_HW)
    total_FR, count = torch.zeros(_SIDE, _SIDE // 2 + 1).to(grey_HW), 0
    for window_SS in windows_NSS:
        variance = float(window_SS.var())
        if variance > 1e-6:
            centred_SS = (window_SS - window_SS.mean()) * taper_S[:, None] * taper_S
            total_FR += torch.fft.rfft2(centred_SS).abs().square() / variance
            count += 1
    return total_FR / count if count else None


def _ripples(power_FR: Tensor) -> Tensor:
    """FR: the logarithm less its local mean, the frequency 0 in the middle of the first axis."""
    log_FR = torch.fft.fftshift(power_FR.clamp(min=1e-30).log(), dim=0)
    around = F.pad(log_FR[None, None], (_LOCAL // 2,) * 4, mode="reflect")
    ripples_FR: Tensor = log_FR - F.avg_pool2d(around, _LOCAL, stride=1)[0, 0]
    return ripples_FR


def _alike(first_FR: Tensor, second_FR: Tensor, where_FR: Tensor) -> float:
    """Correlation over some frequencies."""
    pair_2N = torch.stack([first_FR[where_FR], second_FR[where_FR]])
    centred_2N = pair_2N - pair_2N.mean(dim=1, keepdim=True)
    lengths_2 = centred_2N.norm(dim=1).clamp(min=1e-12)
    return float((centred_2N[0] * centred_2N[1]).sum() / lengths_2.prod())


def _frequencies() -> tuple[Tensor, Tensor]:
    return torch.fft.fftfreq(_SIDE)[:, None], torch.fft.rfftfreq(_SIDE)


def _compared() -> Tensor:
    """FR, bool, as ``_ripples`` has them."""
    down_F1, across_R = _frequencies()
    radius_FR = torch.fft.fftshift((down_F1.square() + across_R.square()).sqrt(), dim=0)
    compared_FR: Tensor = (radius_FR > _LOWEST) & (radius_FR < _HIGHEST)
    return compared_FR


def _disc_power(radius: float) -> Tensor:
    down_F1, across_R = _frequencies()
    phase_FR = (2 * math.pi * radius * torch.hypot(down_F1, across_R)).clamp(min=1e-6)
    power_FR: Tensor = (2 * torch.special.bessel_j1(phase_FR) / phase_FR).square()
    return power_FR


def _line_power(length: int, angle: int) -> Tensor:
    down_F1, across_R = _frequencies()
    turned = math.radians(angle)
    return torch.sinc(length * (across_R * math.cos(turned) + down_F1 * math.sin(turned))).square()


def line(length: int, angle: int) -> Tensor:
    """KK: the line on the pixel grid."""
    place_N = torch.linspace(-length / 2, length / 2, 64 * length, dtype=torch.float64)
    turned = math.radians(angle)
    points_N2 = torch.stack([place_N * math.cos(turned), place_N * math.sin(turned)], dim=1)
    return laid_on_grid(points_N2, 2 * (math.ceil(length / 2) + 1) + 1)
