"""Images whose channels are frames in order, as multi-frame DICOM objects: each restored by those around it.

Shapes: B batch, T frames, C channels of the wrapped restorer, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition, RestorerError
from models.solvers.solver import whole
from models.solvers.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class FrameByFrame(Wrapper):
    """Hands over every frame, as grey, with so many before and after it; gives back as many frames."""

    name: ClassVar[str] = "frame_by_frame"
    refusal: ClassVar[str] = "may differ between frames"

    around: int = whole(2, 1, 16)
    """How many frames before and after it a frame is told."""

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts, for any number of frames."""
        inner = self.restorer.card
        needs = tuple(each for each in inner.needs if each not in ("frames", "place"))
        summary = f"{inner.name} on each frame of an image whose channels are frames in order."
        return self._card(name, summary, channels=None, needs=needs, halo=None, tile_exact=False)

    def __call__(self, degraded_BTHW: Tensor, condition: Condition) -> Tensor:
        """BT and the restorer's scale times H and W."""
        count, channels = degraded_BTHW.shape[1], self.restorer.card.channels or 1
        if count < 2:
            raise RestorerError("FRAMES_MISSING", "one channel alone; a sequence has two frames or more")
        frames_BTCHW = degraded_BTHW[:, :, None].expand(-1, -1, channels, -1, -1)
        restored = []
        for place in range(count):
            first = max(0, place - self.around)
            others = [*range(first, place), *range(place + 1, min(count, place + self.around + 1))]
            told = replace(condition, frames_BTCHW=frames_BTCHW[:, others], place=place - first)
            restored_BCHW = self.restorer(frames_BTCHW[:, place], condition=told)
            restored.append(restored_BCHW.mean(1, keepdim=True))
        return torch.cat(restored, 1)
