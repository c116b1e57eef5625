"""Motion blur of a shaken camera: a random trajectory as DeblurGAN draws it."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from models.operators.blur import KernelBlur
from models.operators.convolution import require_kernel_fits
from models.parameters import Checked, number

STEPS = 2000
"""Points of a trajectory."""


@dataclass(frozen=True)
class MotionBlur(Checked):
    """Blur along a random camera path (Boracchi and Foi 2012; Kupyn et al. 2018, 3.4): one path per image.

    A particle moves at constant speed; its velocity is disturbed by Gaussian shake, by a pull back to
    the start and, rarely, by a jerk that reverses it. The path is laid on the pixel grid with its
    centroid in the kernel's centre, so that the image is not shifted. ``drawn`` gives the linear
    operator of one image.
    """

    name: ClassVar[str] = "motion_blur"

    length: float = number(30.0, 1, 200)
    """Length of the path in pixels at full exposure, in [1, 200]; DeblurGAN uses 60."""
    shake: float = number(0.005, 0, 1)
    """How restless the path is, in [0, 1]; 0 is a straight line. DeblurGAN uses 0.005 or up to 0.1."""
    exposure: float = number(1.0, 0.001, 1)
    """Share of the path during which the shutter is open, in [0.001, 1]."""

    @property
    def side(self) -> int:
        """Side of the kernel in pixels: no point is farther from the centroid than half the path's length."""
        return 2 * (math.ceil(self.length * self.exposure / 2) + 1) + 1

    def drawn(self, rng: Generator) -> KernelBlur:
        """The blur of one image, as the next call with this generator state would apply it."""
        kernel_KK = laid_on_grid(self._path(rng), self.side)
        return KernelBlur(values=tuple(tuple(row) for row in kernel_KK.tolist()))

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The blurred image, same size; ``ValueError`` where it is smaller than ``side``."""
        require_kernel_fits(self.name, self.side, *image_BCHW.shape[2:])
        return torch.cat([self.drawn(rng)(image_1CHW[None], rng) for image_1CHW in image_BCHW])

    def _path(self, rng: Generator) -> Tensor:
        """Points (N, 2) of the open shutter, x and y in pixels."""
        step = self.length / (STEPS - 1)
        velocity, pull, noise_N, kick_N = self._forces(rng)
        position = 0j
        points = [position]
        for noise, kick in zip(noise_N.tolist(), kick_N.tolist(), strict=True):
            velocity += self.shake * (noise - pull * position) * step + kick * velocity
            velocity *= step / max(abs(velocity), 1e-12)
            position += velocity
            points.append(position)
        return self._open_shutter(np.array(points))

    def _forces(
        self, rng: Generator
    ) -> tuple[complex, float, NDArray[np.complex128], NDArray[np.complex128]]:
        """The first velocity, the pull to the start, and at each step the shake and the jerk's factor."""
        pull, jerk, shake, angle = torch.rand(4, generator=rng, device=rng.device).tolist()
        pull, jerk, shake = 0.7 * pull, 0.2 * jerk * self.shake, 10 * shake
        uniform_N2 = torch.rand(STEPS - 1, 2, generator=rng, device=rng.device).cpu().double().numpy()
        normal_N2 = torch.randn(STEPS - 1, 2, generator=rng, device=rng.device).cpu().double().numpy()
        kick_N = np.zeros(STEPS - 1, np.complex128)
        for place in np.flatnonzero(uniform_N2[:, 0] < jerk):
            kick_N[place] = 2 * cmath.exp(1j * (math.pi + uniform_N2[place, 1] - 0.5))
        velocity = cmath.rect(self.length / (STEPS - 1), 2 * math.pi * angle)
        return velocity, pull, shake * (normal_N2 @ (1, 1j)), kick_N

    def _open_shutter(self, points_N: NDArray[np.complex128]) -> Tensor:
        seen_N = points_N[: max(1, round(self.exposure * STEPS))]
        return torch.from_numpy(np.stack([seen_N.real, seen_N.imag], axis=1))


def drawn_kernels(blurs: Sequence[MotionBlur], generators: Sequence[Generator]) -> list[Tensor]:
    """KK float64 each: what ``drawn`` lays on the grid, of many blurs at once, which share the steps."""
    forces = [blur._forces(rng) for blur, rng in zip(blurs, generators, strict=True)]
    velocity_B, pull_B = (np.array(each) for each in list(zip(*forces, strict=True))[:2])
    noise_NB, kick_NB = (np.stack([each[place] for each in forces], axis=1) for place in (2, 3))
    step_B = np.array([blur.length for blur in blurs]) / (STEPS - 1)
    strength_B = np.array([blur.shake for blur in blurs])
    points_NB = np.zeros((STEPS, len(blurs)), np.complex128)
    for place in range(1, STEPS):
        drift_B = noise_NB[place - 1] - pull_B * points_NB[place - 1]
        velocity_B = velocity_B + (strength_B * drift_B * step_B + kick_NB[place - 1] * velocity_B)
        velocity_B *= step_B / np.maximum(np.abs(velocity_B), 1e-12)
        points_NB[place] = points_NB[place - 1] + velocity_B
    return [
        laid_on_grid(blur._open_shutter(points_N), blur.side)
        for blur, points_N in zip(blurs, points_NB.T, strict=True)
    ]


def laid_on_grid(points_N2: Tensor, side: int) -> Tensor:
    """KK: the time spent near each pixel, every point shared bilinearly by its four neighbours."""
    centred_N2 = points_N2 - points_N2.mean(dim=0) + side // 2
    corner_N2 = centred_N2.floor()
    right_N, below_N = (centred_N2 - corner_N2).unbind(dim=1)
    x_N, y_N = corner_N2.long().unbind(dim=1)
    kernel_KK = torch.zeros(side, side, dtype=torch.float64)
    for dy, weight_y in ((0, 1 - below_N), (1, below_N)):
        for dx, weight_x in ((0, 1 - right_N), (1, right_N)):
            kernel_KK.index_put_((y_N + dy, x_N + dx), weight_y * weight_x, accumulate=True)
    return kernel_KK / len(points_N2)
