"""The image that explains all frames: maximum a posteriori with a total variation prior.

Farsiu et al., "Fast and Robust Multiframe Super Resolution", IEEE TIP 2004, section IV: each frame is the
image moved, blurred and made smaller; differences count by a robust norm.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.card import Card
from models.contract import Condition
from models.operators.base import LinearOperator
from models.operators.resample import Bicubic
from models.solvers.shift_and_add import ShiftAndAdd
from models.solvers.solver import Solver, noise_level_of, number, whole
from models.stacks.alignment import usable_frames
from models.stacks.explaining import HUBER, total_variation_slope
from models.stacks.shifting import shifted


@dataclass(frozen=True, kw_only=True)
class MultiFrameMap(Solver):
    """Gradient steps with momentum from the shift-and-add, through the operators of the degradation.

    Without operators, a frame is taken for the bicubic reduction of the image.
    """

    name: ClassVar[str] = "multi_frame_map"

    scale: int = whole(1, 1, 8)
    """How many times larger the image becomes."""
    weight: float = number(0.8, 0, 100)
    """Of the total variation, in units of the noise's variance."""
    iterations: int = whole(30, 1, 500)
    """Gradient steps."""

    def card(self, name: str) -> Card:
        """Needs the whole image, to know how frames lie; goes by the operators where they are known."""
        return Card(
            name=name,
            summary=f"The image, x{self.scale}, that explains all frames of a scene, with total variation.",
            task="super-resolution" if self.scale > 1 else "denoising",
            scale=self.scale,
            halo=None,
            tile_exact=False,
            needs=("frames",),
            takes=("operators", "noise_level"),
            source="Farsiu et al. 2004, section IV",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and ``scale`` times H and W."""
        start = ShiftAndAdd(scale=self.scale)
        chain = tuple(condition.operators) or ((Bicubic(scale=self.scale),) if self.scale > 1 else ())
        weight_B = self.weight * noise_level_of(condition, degraded_BCHW).flatten() ** 2
        stacks = zip(usable_frames(degraded_BCHW, condition), weight_B, strict=True)
        return torch.cat(
            [
                self._solved(start.added(*seen)[None], seen[0], self.scale * seen[1], _Chain(chain), weight)
                for seen, weight in stacks
            ]
        )

    def _solved(
        self, image_1CHW: Tensor, seen_TCHW: Tensor, shift_T2: Tensor, chain: _Chain, weight: Tensor
    ) -> Tensor:
        before_1CHW, count = image_1CHW, len(seen_TCHW)
        for step in range(self.iterations):
            ahead_1CHW = image_1CHW + step / (step + 3) * (image_1CHW - before_1CHW)
            moved_TCHW = shifted(ahead_1CHW.expand(count, -1, -1, -1), shift_T2)
            missed_TCHW = (chain(moved_TCHW) - seen_TCHW).clamp(-HUBER, HUBER)
            back_TCHW = shifted(chain.adjoint(missed_TCHW, *moved_TCHW.shape[-2:]), -shift_T2)
            # A reduction by s takes s^2 pixels into one: so much smaller is its adjoint's answer.
            slope_1CHW = back_TCHW.mean(0, keepdim=True) * self.scale**2
            prior_1CHW = weight * self.scale**2 * total_variation_slope(ahead_1CHW)
            before_1CHW, image_1CHW = image_1CHW, ahead_1CHW - 0.9 * (slope_1CHW + prior_1CHW)
        return image_1CHW


@dataclass(frozen=True)
class _Chain:
    operators: tuple[LinearOperator, ...]

    def __call__(self, image_BCHW: Tensor) -> Tensor:
        for operator in self.operators:
            image_BCHW = operator(image_BCHW, Generator())
        return image_BCHW

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        sizes = [(height, width)]
        for operator in self.operators:
            by = int(getattr(operator, "scale", 1))
            sizes.append((sizes[-1][0] // by, sizes[-1][1] // by))
        for operator, size in zip(reversed(self.operators), reversed(sizes[:-1]), strict=True):
            image_BCHW = operator.adjoint(image_BCHW, *size)
        return image_BCHW
