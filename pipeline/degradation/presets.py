"""Degradations people ask for by name. A preset is data: the same list could stand in a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """Operators in order, with what they imitate."""

    summary: str
    operators: tuple[dict[str, Any], ...]
    bands: int | None = None
    """How many bands its parameters are for; ``None``: any number."""


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


def _kspace(acceleration: int, centre: float) -> Preset:
    return Preset(
        f"every {acceleration}th line of k-space and the central {centre:.0%}, at random as fastMRI's knees, "
        "zero-filled",
        ({"op": "kspace_undersampling", "acceleration": acceleration, "centre": centre},),
    )


def _sensor(name: str, mtf: tuple[float, ...]) -> Preset:
    return Preset(
        f"4 times larger pixels through the MTF of {name} (at Nyquist, Vivone et al. 2015)",
        ({"op": "mtf", "scale": 4, "mtf": mtf},),
        len(mtf),
    )


def _wald(scale: int) -> Preset:
    return _preset(
        f"the mean of the bands as a guide, and {scale} times larger pixels through an MTF of 0.3",
        {"op": "panchromatic"},
        {"op": "mtf", "scale": scale, "mtf": 0.3},
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
    "burst-x3": _preset(
        "nine frames, moved by up to 2 of their pixels, blurred, 3 times smaller, with noise of sigma 4/255",
        {"op": "burst", "frames": 9, "motion": 6.0},
        {"op": "gaussian_blur", "sigma": 0.8},
        {"op": "area", "scale": 3},
        {"op": "gaussian_noise", "sigma": 4},
    ),
    "burst-noise": _preset(
        "nine frames, moved by up to 4 pixels, one of them black, two clouded, noise of sigma 25/255",
        {"op": "burst", "frames": 9, "motion": 4.0, "clouded": 2, "lost": 1},
        {"op": "gaussian_noise", "sigma": 25},
    ),
    "clip-shake": _preset(
        "five frames in order of a shaken camera and a moving object, noise of sigma 2/255",
        {"op": "clip", "frames": 5, "speed": 5.0},
        {"op": "gaussian_noise", "sigma": 2},
    ),
    "mtf-x2": _preset("2 times larger pixels through an MTF of 0.3", {"op": "mtf", "scale": 2, "mtf": 0.3}),
    "wald-x2": _wald(2),
    "wald-x4": _wald(4),
    "quickbird-x4": _sensor("QuickBird: blue, green, red, near infrared", (0.34, 0.32, 0.30, 0.22)),
    "worldview3-x4": _sensor(
        "WorldView-3's eight bands", (0.325, 0.355, 0.360, 0.350, 0.365, 0.360, 0.335, 0.315)
    ),
    "landsat-x2": Preset(
        "Landsat's six reflective bands with 57 m pixels: MTF 0.3, read noise of 1 count in 255 (short-wave "
        "infrared 2), shot noise of 0.8 counts at half range",
        (
            {"op": "mtf", "scale": 2, "mtf": 0.3},
            {"op": "poisson_gaussian_noise", "gain": 2e-5, "sigma": (1.0, 1.0, 1.0, 1.0, 2.0, 2.0)},
        ),
        bands=6,
    ),
    "low-dose-ct": _preset(
        "noise of 25 HU in water, 15 HU in air, where the job's radiometry is -1000 to 3000 HU",
        {"op": "poisson_gaussian_noise", "gain": 1e-4, "sigma": 15 * 255 / 4000},
    ),
    "mr-motion": _preset(
        "a patient who moves 2 to 6 times by about 1 pixel during the acquisition",
        {"op": "mr_motion", "shift": 1.0, "movements": [2, 6]},
    ),
    "mri-x4": _kspace(4, 0.08),
    "mri-x8": _kspace(8, 0.04),
    "ct-sparse-60": _preset(
        "filtered back-projection from 60 views, parallel rays over half a turn",
        {"op": "tomography", "views": 60},
    ),
    "ct-low-dose": _preset(
        "noise of a scan of 360 views with 11,400 photons each, the dose of LoDoPaB-CT",
        {"op": "tomography_noise", "photons": 11_400.0, "views": 360},
    ),
    "mask": _preset("a quarter of all pixels missing", {"op": "mask", "share": 0.25}),
    "inpaint-thin": _strokes("thin"),
    "inpaint-medium": _strokes("medium"),
    "inpaint-thick": _strokes("thick"),
}
"""What ``degradations = ["bicubic-x4"]`` means."""
