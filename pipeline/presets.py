"""Degradations people ask for by name. A preset is data: the same list could stand in a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Operators in order, with what they imitate."""

    summary: str
    operators: tuple[dict[str, Any], ...]


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
    "jpeg-q10": _jpeg(10),
    "jpeg-q30": _jpeg(30),
    "mask": Preset("a quarter of all pixels missing", ({"op": "mask", "share": 0.25},)),
}
"""What ``degradations = ["bicubic-x4"]`` means."""
