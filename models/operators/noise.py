"""Noise: what sensors add. Every draw comes from ``rng`` alone, image by image, on ``rng``'s device.

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range; nothing is
clipped unless a rounding says so. Sigmas are given in 1/255 of the range, as the papers write them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import each_image, normal_like, poisson_like
from models.operators.parameters import ROUNDINGS, per_band
from models.parameters import Checked, choice, flag, number

LEVELS = 255.0
"""Units of every ``sigma`` in the value range: sigma 25 is 25/255 of it."""


@dataclass(frozen=True)
class GaussianNoise(Checked):
    """Additive white Gaussian noise: unclipped float as in the papers, or put on an integer grid."""

    name: ClassVar[str] = "gaussian_noise"

    sigma: float = number(low=0, high=LEVELS)
    """Standard deviation in 1/255 of the value range, in [0, 255]."""
    rounding: str = choice(*ROUNDINGS)
    """"none" leaves values outside [0, 1]; "uint8" or "uint16" round and clip to that grid."""
    grey: bool = flag(False)
    """Whether all channels get the same noise."""

    @property
    def noise_level(self) -> float:
        """Standard deviation as a fraction of the value range."""
        return self.sigma / LEVELS

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""
        noisy_BCHW = each_image(
            image_BCHW, lambda image: image + self.noise_level * normal_like(image, rng, grey=self.grey)
        )
        top = ROUNDINGS[self.rounding]
        return noisy_BCHW if top == 0 else (noisy_BCHW * top).round_().clamp_(0, top) / top


@dataclass(frozen=True)
class CorrelatedNoise(Checked):
    """Gaussian noise with a random covariance between the channels, drawn per image (Zhang et al. 2021, 3.4).

    The covariance is ``sigma^2 Q diag(u) Q'``: Q a random rotation, each u uniform in [0, 1].
    """

    name: ClassVar[str] = "correlated_noise"

    sigma: float = number(low=0, high=LEVELS)
    """Largest standard deviation in 1/255 of the value range, in [0, 255]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""

        def noisy(image_CHW: Tensor) -> Tensor:
            channels = image_CHW.shape[0]
            shares_C = torch.rand(channels, generator=rng, device=rng.device)
            mixed_CC = torch.linalg.qr(torch.randn(channels, channels, generator=rng, device=rng.device)).Q
            root_CC = (mixed_CC * shares_C.sqrt()).to(image_CHW)
            white_CHW = normal_like(image_CHW, rng)
            return image_CHW + self.sigma / LEVELS * torch.einsum("kc,chw->khw", root_CC, white_CHW)

        return each_image(image_BCHW, noisy)


@dataclass(frozen=True)
class PoissonNoise(Checked):
    """Shot noise: ``Poisson(photons x) / photons``; mean x, variance x / photons. Negative x count as 0."""

    name: ClassVar[str] = "poisson_noise"

    photons: float = number(low=0.1, high=1e6)
    """Expected count of a pixel of value 1, in [0.1, 1e6]."""
    grey: bool = flag(False)
    """Whether all channels get the same noise, that of their mean."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""
        return each_image(image_BCHW, lambda image: self._noisy(image, rng))

    def _noisy(self, image_CHW: Tensor, rng: Generator) -> Tensor:
        light_CHW = image_CHW.clamp_min(0)
        if not self.grey:
            return poisson_like(light_CHW * self.photons, rng) / self.photons
        mean_1HW = light_CHW.mean(dim=0, keepdim=True)
        return image_CHW + (poisson_like(mean_1HW * self.photons, rng) / self.photons - mean_1HW)


@dataclass(frozen=True)
class PoissonGaussianNoise(Checked):
    """A raw sensor: ``gain Poisson(x / gain) + sigma n``; variance gain x + sigma^2 (Foi et al. 2008)."""

    name: ClassVar[str] = "poisson_gaussian_noise"

    gain: float | tuple[float, ...] = number(low=1e-6, high=1, per_band=True)
    """Value of one electron, fraction of the range, in [1e-6, 1]: one number, or one per band."""
    sigma: float | tuple[float, ...] = number(low=0, high=LEVELS, per_band=True)
    """Read noise in 1/255 of the range, in [0, 255]: one number, or one per band."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""
        gain_C11, sigma_C11 = (self._bands(field, image_BCHW) for field in ("gain", "sigma"))

        def noisy(image_CHW: Tensor) -> Tensor:
            counts_CHW = poisson_like(image_CHW.clamp_min(0) / gain_C11, rng)
            return counts_CHW * gain_C11 + normal_like(image_CHW, rng) * sigma_C11 / LEVELS

        return each_image(image_BCHW, noisy)

    def _bands(self, field: str, image_BCHW: Tensor) -> Tensor:
        return image_BCHW.new_tensor(per_band(self, field, image_BCHW.shape[1]))[:, None, None]


@dataclass(frozen=True)
class Speckle(Checked):
    """Fully developed speckle of coherent imaging: the image times a Gamma variable of mean 1.

    Intensity: Gamma(L, 1/L), variance 1/L (Goodman). Amplitude: its square root.
    """

    name: ClassVar[str] = "speckle"

    looks: float = number(low=0.1, high=1e4)
    """Number of looks L in [0.1, 1e4]; need not be whole (equivalent number of looks)."""
    domain: str = choice("intensity", "amplitude")
    """What the pixels are: "intensity" or "amplitude"."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""
        return each_image(image_BCHW, lambda image_CHW: image_CHW * self._factor(image_CHW, rng))

    def _factor(self, image_CHW: Tensor, rng: Generator) -> Tensor:
        looks = torch.full(image_CHW.shape, float(self.looks), device=rng.device)
        intensity_CHW = torch._standard_gamma(looks, generator=rng) / self.looks
        return (intensity_CHW.sqrt() if self.domain == "amplitude" else intensity_CHW).to(image_CHW)


@dataclass(frozen=True)
class SaltAndPepper(Checked):
    """Impulse noise: a share of the samples becomes 0 or 1, each sample for itself."""

    name: ClassVar[str] = "salt_and_pepper"

    share: float = number(low=0, high=1)
    """Share of samples hit, in [0, 1]."""
    salt: float = number(0.5, 0, 1)
    """Share of those that become 1, in [0, 1]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""

        def noisy(image_CHW: Tensor) -> Tensor:
            draw_CHW = torch.rand(image_CHW.shape, generator=rng, device=rng.device).to(image_CHW.device)
            hit_CHW = torch.where(draw_CHW < self.share * self.salt, 1.0, 0.0).to(image_CHW)
            return torch.where(draw_CHW < self.share, hit_CHW, image_CHW)

        return each_image(image_BCHW, noisy)


@dataclass(frozen=True)
class RicianNoise(Checked):
    """Magnitude MRI: ``sqrt((x + sigma n1)^2 + (sigma n2)^2)`` (Gudbjartsson and Patz 1995).

    The mean of the squares is x^2 + 2 sigma^2.
    """

    name: ClassVar[str] = "rician_noise"

    sigma: float = number(low=0, high=LEVELS)
    """Standard deviation of the real and of the imaginary part, in 1/255 of the range, in [0, 255]."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The noisy image, same shape."""
        sigma = self.sigma / LEVELS
        return each_image(
            image_BCHW,
            lambda image: torch.hypot(
                image + sigma * normal_like(image, rng), sigma * normal_like(image, rng)
            ),
        )
