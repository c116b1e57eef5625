"""Degradations people ask for by name. A preset is data: the same list could stand in a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Operators in order, with what they imitate."""

    summary: str
    operators: tuple[dict[str, Any], ...]


def _preset(summary: str, *operators: dict[str, Any]) -> Preset:
    return Preset(summary, operators)


def _bicubic(scale: int) -> Preset:
    return Preset(
        f"MATLAB imresize to 1/{scale} on 8-bit values, as in super-resolution papers",
        ({"op": "bicubic", "scale": scale, "rounding": "uint8"},),
    )


def _awgn(sigma: int) -> Preset:
    return Preset(
        f"white Gaussian noise of sigma {sigma}/255, neither clipped nor rounded, as in denoising papers",
        ({"op": "gaussian_noise", "sigma": sigma},),
    )


def _jpeg(quality: int) -> Preset:
    return Preset(f"JPEG of quality {quality}", ({"op": "jpeg", "quality": quality},))


def _strokes(thickness: str) -> Preset:
    return Preset(
        f"{thickness} irregular strokes missing", ({"op": "irregular_mask", "thickness": thickness},)
    )


PRESETS: dict[str, Preset] = {
    "bicubic-x2": _bicubic(2),
    "bicubic-x3": _bicubic(3),
    "bicubic-x4": _bicubic(4),
    "bicubic-x8": _bicubic(8),
    "awgn-15": _awgn(15),
    "awgn-25": _awgn(25),
    "awgn-50": _awgn(50),
    "blur": Preset("Gaussian blur of sigma 1.6 pixels", ({"op": "gaussian_blur", "sigma": 1.6},)),
    "blur-noise": Preset(
        "Gaussian blur of 0.8 to 1.6 pixels, then noise of sigma 2/255",
        ({"op": "gaussian_blur", "sigma": [0.8, 1.6]}, {"op": "gaussian_noise", "sigma": 2}),
    ),
    "awgn-25-uint8": _preset(
        "noise of sigma 25/255, then rounded and clipped to 8 bits",
        {"op": "gaussian_noise", "sigma": 25, "rounding": "uint8"},
    ),
    "motion": _preset(
        "camera shake of 10 to 30 pixels along a random trajectory (Boracchi and Foi 2012)",
        {"op": "motion_blur", "length": [10.0, 30.0], "shake": [0.005, 0.1]},
    ),
    "defocus": _preset("out of focus by 2 to 6 pixels", {"op": "defocus", "radius": [2.0, 6.0]}),
    "jpeg-q10": _jpeg(10),
    "jpeg-q30": _jpeg(30),
    "real-esrgan-x2": _preset("second-order chain of Real-ESRGAN, x2", {"op": "real_esrgan", "scale": 2}),
    "real-esrgan-x4": _preset("second-order chain of Real-ESRGAN, x4", {"op": "real_esrgan", "scale": 4}),
    "bsrgan-x4": _preset("shuffled chain of BSRGAN, x4", {"op": "bsrgan", "scale": 4}),
    "low-light-poisson": _preset(
        "5 to 30 photons at full scale", {"op": "poisson_noise", "photons": [5.0, 30.0]}
    ),
    "speckle-1-look": _preset("single-look radar speckle on intensity", {"op": "speckle", "looks": 1}),
    "rician-mri": _preset("magnitude noise of sigma 13/255", {"op": "rician_noise", "sigma": 13}),
    "stripes": _preset("push-broom stripes", {"op": "stripes", "gain": 0.03, "sigma": 6}),
    "slc-off": _preset("wedge-shaped gaps as of Landsat 7 since 2003", {"op": "scan_line_gaps"}),
    "clouds": _preset("three tenths hidden by clouds", {"op": "clouds", "share": 0.3}),
    "mask": _preset("a quarter of all pixels missing", {"op": "mask", "share": 0.25}),
    "inpaint-thin": _strokes("thin"),
    "inpaint-medium": _strokes("medium"),
    "inpaint-thick": _strokes("thick"),
}
"""What ``degradations = ["bicubic-x4"]`` means."""
