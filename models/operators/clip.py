"""Ordered frames as a moving camera takes them of moving things, each blurred while the shutter is open."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from models.operators.draws import uniform
from models.parameters import Checked, number, whole
from models.stacks.shifting import shifted

WAVES = 3
"""Sines that make up a path along one axis."""
TOGETHER = 2**22
"""Samples that are moved at once, of all moments: a GPU has few calls to wait for, and memory stays small."""


@dataclass(frozen=True)
class Clip(Checked):
    """The image becomes one of several frames in order, the middle one; what follows is done to each of them.

    Camera and objects follow smooth paths of their own (sums of sines of 2 to 20 frames a period). A frame
    is the mean of what is seen while the shutter is open; the image is what is seen in the middle of its own
    frame. Objects are ellipses of the image that move on their own over it.
    """

    name: ClassVar[str] = "clip"

    frames: int = whole(5, 1, 64)
    """With the image, in 1..64."""
    speed: float = number(6.0, 0, 64)
    """Of the camera, root mean square along each axis, in pixels a frame, in [0, 64]."""
    exposure: float = number(0.8, 0, 1)
    """Share of a frame's time for which the shutter is open, in [0, 1]."""
    objects: int = whole(1, 0, 8)
    """How many parts of the image move at another speed, in 0..8."""
    lost: int = whole(0, 0, 63)
    """How many of the last frames are black."""

    @property
    def place(self) -> int:
        """How many frames come before the image."""
        return (self.frames - 1) // 2

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The frame in whose middle the image is seen."""
        return torch.cat([self._scene(each_CHW[None], rng).frame(0) for each_CHW in image_BCHW])

    def others(self, image_1CHW: Tensor, rng: Generator) -> Tensor:
        """TCHW: the frames before it, then those after it."""
        scene = self._scene(image_1CHW, rng)
        times = [time for time in range(-self.place, self.frames - self.place) if time != 0]
        made = [scene.frame(time) for time in times]
        kept = max(0, len(made) - self.lost)
        return torch.cat([image_1CHW[:0], *made[:kept], *(torch.zeros_like(each) for each in made[kept:])])

    def _scene(self, image_1CHW: Tensor, rng: Generator) -> _Scene:
        camera = _Path.drawn(self.speed, rng)
        things = [(_ellipse(image_1CHW, rng), _Path.drawn(self.speed, rng)) for _ in range(self.objects)]
        return _Scene(image_1CHW, camera, things, self.exposure)


@dataclass(frozen=True)
class _Path:
    """``path(time)``: how far down and right, in pixels; nowhere at time 0."""

    waves: tuple[tuple[tuple[float, float, float], ...], ...]
    """Of each axis amplitude, angle a frame and phase."""

    @classmethod
    def drawn(cls, speed: float, rng: Generator) -> _Path:
        """Root mean square of the speed along each axis, in pixels a frame."""
        return cls(tuple(tuple(_wave(speed / math.sqrt(WAVES), rng) for _ in range(WAVES)) for _ in "yx"))

    def __call__(self, time: float) -> list[float]:
        """Along both axes."""
        return [sum(a * (math.sin(w * time + p) - math.sin(p)) for a, w, p in axis) for axis in self.waves]


def _wave(speed: float, rng: Generator) -> tuple[float, float, float]:
    angle = 2 * math.pi / uniform(2, 20, rng)
    return math.sqrt(2) * speed / angle, angle, uniform(0, 2 * math.pi, rng)


@dataclass(frozen=True)
class _Scene:
    image_1CHW: Tensor
    camera: _Path
    things: list[tuple[Tensor, _Path]]
    """What moves on its own: how much of a pixel it covers (11HW), and where it goes beside the camera."""
    exposure: float

    def frame(self, time: float) -> Tensor:
        """1CHW: the mean over the time that the shutter is open, a pixel or less at a time."""
        start, end = time - self.exposure / 2, time + self.exposure / 2
        paths = [self.camera, *(path for _, path in self.things)]
        length = sum(math.dist(path(start), path(end)) for path in paths)
        steps = 1 + math.ceil(min(length, 63))
        moments = [start + (end - start) * (step + 0.5) / steps for step in range(steps)]
        total_1CHW = torch.zeros_like(self.image_1CHW)
        together = max(1, TOGETHER // self.image_1CHW.numel())
        for first in range(0, steps, together):
            for seen_CHW in self._seen(moments[first : first + together]):
                total_1CHW = total_1CHW + seen_CHW
        return total_1CHW / steps

    def _seen(self, moments: Sequence[float]) -> Tensor:
        """NCHW: what is there at each moment."""
        shift_N2 = torch.tensor([self.camera(time) for time in moments])
        seen_NCHW = self._moved(self.image_1CHW, shift_N2)
        for cover_11HW, path in self.things:
            own_N2 = shift_N2 + torch.tensor([path(time) for time in moments])
            cover_N1HW = self._moved(cover_11HW, own_N2).clamp(0, 1)
            thing_NCHW = self._moved(self.image_1CHW, own_N2)
            seen_NCHW = cover_N1HW * thing_NCHW + (1 - cover_N1HW) * seen_NCHW
        return seen_NCHW

    @staticmethod
    def _moved(image_1CHW: Tensor, shift_N2: Tensor) -> Tensor:
        return shifted(image_1CHW.expand(len(shift_N2), -1, -1, -1), shift_N2)


def _ellipse(image_1CHW: Tensor, rng: Generator) -> Tensor:
    """11HW: 1 within, 0 beyond, soft over a pixel."""
    height, width = image_1CHW.shape[-2:]
    centre = [uniform(0.2, 0.8, rng) * side for side in (height, width)]
    radius = [uniform(0.1, 0.25, rng) * side + 1 for side in (height, width)]
    y_H1 = (torch.arange(height).to(image_1CHW)[:, None] - centre[0]) / radius[0]
    x_W = (torch.arange(width).to(image_1CHW) - centre[1]) / radius[1]
    away_HW = ((y_H1**2 + x_W**2).sqrt() - 1) * min(radius)
    return (0.5 - away_HW).clamp(0, 1)[None, None]
