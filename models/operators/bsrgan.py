"""The shuffled degradation of BSRGAN (Zhang et al. 2021, section 3, and the probabilities of its code)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator

from models.operators.base import Operator
from models.operators.blur import AnisotropicGaussianBlur, GaussianBlur
from models.operators.chain import SHRINKERS, RandomChain, kernel_side
from models.operators.compression import Jpeg
from models.operators.draws import choice, integer, uniform
from models.operators.noise import CorrelatedNoise, GaussianNoise
from models.operators.resample import Mtf
from models.operators.resize import Resize

HALVE_CHANCE = 0.25
ANISOTROPIC_CHANCE = 0.5
RESIZE_CHANCE = 0.75
JPEG_CHANCE = 0.9
NOISE_SIGMA = (2, 25)
QUALITY = (30, 95)


class Bsrgan(RandomChain):
    """Two blurs, two reductions, noise and JPEG in random order, then JPEG again.

    The second reduction, to the final size, never comes before the first. The camera pipeline of the
    paper is left out, which is the default of its released code.
    """

    name: ClassVar[str] = "bsrgan"

    def chain(self, height: int, width: int, rng: Generator) -> list[Operator]:
        """Draws the operators for an image of ``height`` x ``width``, in their order."""
        size, scale = (height, width), self.scale
        operators: list[Operator] = []
        if scale == 4 and uniform(0, 1, rng) < HALVE_CHANCE:
            size, scale = (height // 2, width // 2), 2
            antialias = uniform(0, 1, rng) < 0.5
            operators.append(Resize(*size, "bicubic" if antialias else choice(SHRINKERS, rng), antialias))
        target, current = (size[0] // scale, size[1] // scale), size
        for step in _shuffled(rng):
            if step == "blur":
                operators.append(_blur(scale, current, rng))
            elif step == "reduce":
                operator, current = _reduction(scale, size, rng)
                operators.append(operator)
            elif step == "finish":
                operators.append(Resize(*target, choice(SHRINKERS, rng), antialias=False))
                current = target
            elif step == "noise":
                operators.append(_noise(rng))
            elif uniform(0, 1, rng) < JPEG_CHANCE:
                operators.append(_jpeg(rng))
        return [*operators, _jpeg(rng)]


def _shuffled(rng: Generator) -> list[str]:
    steps = ["blur", "blur", "reduce", "finish", "noise", "jpeg"]
    order = [steps[index] for index in torch.randperm(len(steps), generator=rng, device=rng.device).tolist()]
    first, second = sorted((order.index("reduce"), order.index("finish")))
    order[first], order[second] = "reduce", "finish"
    return order


def _blur(scale: int, size: tuple[int, int], rng: Generator) -> Operator:
    side = kernel_side(7, 25, size, rng)
    if uniform(0, 1, rng) < ANISOTROPIC_CHANCE:
        # The paper draws the eigenvalues of the covariance, which are squared widths.
        sigma_x, sigma_y = (math.sqrt(uniform(0.01, 4 + scale, rng)) for _ in range(2))
        return AnisotropicGaussianBlur(sigma_x, sigma_y, uniform(0, 180, rng), side)
    return GaussianBlur(uniform(0.1, 2 + 0.2 * scale, rng), side)


def _reduction(scale: int, size: tuple[int, int], rng: Generator) -> tuple[Operator, tuple[int, int]]:
    if uniform(0, 1, rng) < RESIZE_CHANCE:
        factor = uniform(1, 2 * scale, rng)
        smaller = max(1, int(size[0] / factor)), max(1, int(size[1] / factor))
        return Resize(*smaller, choice(SHRINKERS, rng), antialias=False), smaller
    # A Gaussian of sigma pixels, sampled at the centres of the large ones.
    sigma = uniform(0.1, max(0.2, 0.6 * scale), rng)
    response = math.exp(-0.5 * (math.pi * sigma / scale) ** 2)
    return Mtf(scale, response), (size[0] // scale, size[1] // scale)


def _noise(rng: Generator) -> Operator:
    kind = choice(("colour", "grey", "correlated"), rng, (0.4, 0.4, 0.2))
    if kind == "correlated":
        return CorrelatedNoise(NOISE_SIGMA[1])
    return GaussianNoise(integer(*NOISE_SIGMA, rng), grey=kind == "grey")


def _jpeg(rng: Generator) -> Jpeg:
    return Jpeg(integer(*QUALITY, rng))
