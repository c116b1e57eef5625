"""The second-order degradation of Real-ESRGAN (Wang et al. 2021, section 3 and its option file)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from models.operators.base import Operator
from models.operators.blur import (
    AnisotropicGaussianBlur,
    GaussianBlur,
    GeneralisedGaussianBlur,
    PlateauBlur,
    Sinc,
)
from models.operators.chain import SHRINKERS, RandomChain, kernel_side
from models.operators.compression import Jpeg
from models.operators.draws import choice, integer, uniform
from models.operators.noise import GaussianNoise, PoissonNoise
from models.operators.resize import Resize


@dataclass(frozen=True)
class _Order:
    """Ranges and probabilities of one of the two orders."""

    blur_chance: float
    sigma: tuple[float, float]
    resize_weights: tuple[float, float, float]
    """Of enlarging, shrinking, keeping."""
    factor: tuple[float, float]
    noise_sigma: tuple[float, float]
    poisson_scale: tuple[float, float]


_FIRST = _Order(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
_SECOND = _Order(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))

SINC_CHANCE = 0.1
FINAL_SINC_CHANCE = 0.8
GAUSSIAN_CHANCE = 0.5
GREY_CHANCE = 0.4
QUALITY = (30, 95)
BETA_GENERALISED = (0.5, 4.0)
BETA_PLATEAU = (1.0, 2.0)
KERNELS = (
    ("gaussian", True), ("gaussian", False),
    ("generalised", True), ("generalised", False),
    ("plateau", True), ("plateau", False),
)  # fmt: skip
"""Family, and whether isotropic."""
KERNEL_WEIGHTS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


class RealEsrgan(RandomChain):
    """Blur, resize, noise and JPEG twice, then a sinc filter and JPEG in either order.

    Against the paper: the image is not sharpened first, JPEG is libjpeg's, and Poisson noise of the
    paper's scale s is drawn with 256 / s^2 photons, which has the same mean and variance.
    """

    name: ClassVar[str] = "real_esrgan"

    def chain(self, height: int, width: int, rng: Generator) -> list[Operator]:
        """Draws the operators for an image of ``height`` x ``width``, in their order."""
        target = height // self.scale, width // self.scale
        first, size = _order(_FIRST, (height, width), (height, width), rng)
        second, size = _order(_SECOND, size, target, rng)
        compression: list[Operator] = [_jpeg(rng)]
        shrinking: list[Operator] = [_resize(target, rng)]
        if uniform(0, 1, rng) < FINAL_SINC_CHANCE:
            shrinking.append(Sinc(uniform(math.pi / 3, math.pi, rng), kernel_side(7, 21, target, rng)))
        last = compression + shrinking if uniform(0, 1, rng) < 0.5 else shrinking + compression
        return [*first, _jpeg(rng), *second, *last]


def _order(
    order: _Order, size: tuple[int, int], reference: tuple[int, int], rng: Generator
) -> tuple[list[Operator], tuple[int, int]]:
    """Blur, resize and noise of one order, and the size after them; factors count from ``reference``."""
    operators = [_blur(order, size, rng)] if uniform(0, 1, rng) < order.blur_chance else []
    factor = choice(
        (uniform(1, order.factor[1], rng), uniform(order.factor[0], 1, rng), 1.0), rng, order.resize_weights
    )
    size = max(1, int(reference[0] * factor)), max(1, int(reference[1] * factor))
    return [*operators, _resize(size, rng), _noise(order, rng)], size


def _blur(order: _Order, size: tuple[int, int], rng: Generator) -> Operator:
    side = kernel_side(7, 21, size, rng)
    if uniform(0, 1, rng) < SINC_CHANCE:
        return Sinc(uniform(math.pi / 3 if side < 13 else math.pi / 5, math.pi, rng), side)
    family, isotropic = choice(KERNELS, rng, KERNEL_WEIGHTS)
    sigma_x, sigma_y, angle = uniform(*order.sigma, rng), uniform(*order.sigma, rng), uniform(-180, 180, rng)
    if isotropic:
        sigma_y, angle = sigma_x, 0.0
    if family == "generalised":
        return GeneralisedGaussianBlur(sigma_x, sigma_y, _beta(BETA_GENERALISED, rng), angle, side)
    if family == "plateau":
        return PlateauBlur(sigma_x, sigma_y, _beta(BETA_PLATEAU, rng), angle, side)
    if isotropic:
        return GaussianBlur(sigma_x, side)
    return AnisotropicGaussianBlur(sigma_x, sigma_y, angle, side)


def _beta(limits: tuple[float, float], rng: Generator) -> float:
    # Peaked and flat kernels are equally likely, however unequal their ranges.
    low, high = (limits[0], 1.0) if uniform(0, 1, rng) < 0.5 else (1.0, limits[1])
    return uniform(low, high, rng)


def _resize(size: tuple[int, int], rng: Generator) -> Resize:
    return Resize(*size, kernel=choice(SHRINKERS, rng), antialias=False)


def _noise(order: _Order, rng: Generator) -> Operator:
    grey = uniform(0, 1, rng) < GREY_CHANCE
    if uniform(0, 1, rng) < GAUSSIAN_CHANCE:
        return GaussianNoise(uniform(*order.noise_sigma, rng), grey=grey)
    return PoissonNoise(256 / uniform(*order.poisson_scale, rng) ** 2, grey=grey)


def _jpeg(rng: Generator) -> Jpeg:
    return Jpeg(integer(*QUALITY, rng))
