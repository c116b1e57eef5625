"""Motion blur of a shaken camera: a random trajectory as DeblurGAN draws it."""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
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
        kernel_KK = _laid_on_grid(self._path(rng), self.side)
        return KernelBlur(values=tuple(tuple(row) for row in kernel_KK.tolist()))

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The blurred image, same size; ``ValueError`` where it is smaller than ``side``."""
        require_kernel_fits(self.name, self.side, *image_BCHW.shape[2:])
        return torch.cat([self.drawn(rng)(image_1CHW[None], rng) for image_1CHW in image_BCHW])

    def _path(self, rng: Generator) -> Tensor:
        """Points (N, 2) of the open shutter, x and y in pixels."""
        step = self.length / (STEPS - 1)
        pull, jerk, shake, angle = torch.rand(4, generator=rng, device=rng.device).tolist()
        pull, jerk, shake = 0.7 * pull, 0.2 * jerk * self.shake, 10 * shake
        uniform_N2 = torch.rand(STEPS - 1, 2, generator=rng, device=rng.device).tolist()
        normal_N2 = torch.randn(STEPS - 1, 2, generator=rng, device=rng.device).tolist()
        velocity, position = cmath.rect(step, 2 * math.pi * angle), 0j
        points = [position]
        for (chance, turn), (shake_x, shake_y) in zip(uniform_N2, normal_N2, strict=True):
            push = self.shake * (shake * complex(shake_x, shake_y) - pull * position) * step
            if chance < jerk:
                push += 2 * velocity * cmath.exp(1j * (math.pi + turn - 0.5))
            velocity += push
            velocity *= step / max(abs(velocity), 1e-12)
            position += velocity
            points.append(position)
        open_shutter = points[: max(1, round(self.exposure * STEPS))]
        return torch.tensor([[point.real, point.imag] for point in open_shutter], dtype=torch.float64)


def _laid_on_grid(points_N2: Tensor, side: int) -> Tensor:
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
