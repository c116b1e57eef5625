"""A recurrent restorer of ordered frames, which goes by what came before and by what comes after.

Chan et al., "BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond", CVPR 2021,
sections 3.1 to 3.4: bidirectional propagation, alignment of features by flow, residual blocks, aggregation.
For deblurring it works at half of the size, as BasicVSR++ (CVPR 2022) does at a quarter. Flow is that of
``models.stacks.flow``, which is not trained, in place of SPyNet; details are added to what the frames say
together by ``models.stacks.accumulation``, where the paper adds them to the image enlarged.

Shapes: B batch, T frames beside the image, C channels, F features, H and W height and width, h and w half.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.networks.arguments import require_at_least
from models.stacks.accumulation import accumulated
from models.stacks.flow import flow_between, warped

REDUCTION = 2
"""How many times smaller features are than images."""


class BasicVSR(nn.Module):
    """BCHW, its other frames BTCHW in order and how many of them come before it -> the image restored.

    In [0, 1], not clipped. What is given back is the image; the others are known through the features that
    go from frame to frame towards it. A frame that shows something else, a black one too, ends that.
    Untrained it gives the accumulation of all frames. Without ``neighbours``
    it is called with the image alone: as large a network, which shows what the frames are worth.
    """

    halo = None
    multiple_of = REDUCTION
    minimum_size = 8

    def __init__(
        self, channels: int = 3, features: int = 24, blocks: int = 2, neighbours: bool = True
    ) -> None:
        super().__init__()
        require_at_least("BasicVSR", 1, channels=channels, features=features, blocks=blocks)
        self.channels, self.features = channels, features
        self.conditions = ("frames", "place") if neighbours else ()
        inner = channels * REDUCTION**2
        self.backward_cell = _Residual(inner + features, features, blocks)
        self.forward_cell = _Residual(inner + features, features, blocks)
        self.aggregation = _Residual(inner + 2 * features, features, 1)
        self.tail = nn.Conv2d(features, inner, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]

    def forward(
        self, image_BCHW: Tensor, frames_BTCHW: Tensor | None = None, place_B: Tensor | None = None
    ) -> Tensor:
        """The restored image."""
        frames = [] if frames_BTCHW is None else list(frames_BTCHW.unbind(1))
        middle = 0 if place_B is None else int(place_B[0])
        before, after = frames[:middle], frames[middle:]
        carried = [
            _propagated(self.forward_cell, [*before, image_BCHW], self.features),
            _propagated(self.backward_cell, [*reversed(after), image_BCHW], self.features),
        ]
        base_BCHW = image_BCHW if frames_BTCHW is None else accumulated(image_BCHW, frames_BTCHW)
        known = torch.cat([F.pixel_unshuffle(base_BCHW, REDUCTION), *carried], 1)
        details_BChw: Tensor = self.tail(self.aggregation(known))
        return base_BCHW + F.pixel_shuffle(details_BChw, REDUCTION)


class _Residual(nn.Module):
    """A convolution and residual blocks of two."""

    def __init__(self, inputs: int, features: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(inputs, features, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(features, features, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(features, features, 3, padding=1),
            )
            for _ in range(blocks)
        )

    def forward(self, features_BFhw: Tensor) -> Tensor:
        """BFhw of its own features."""
        features_BFhw = F.leaky_relu(self.head(features_BFhw), 0.1)
        for block in self.blocks:
            features_BFhw = features_BFhw + block(features_BFhw)
        return features_BFhw


def _propagated(cell: nn.Module, frames: Sequence[Tensor], features: int) -> Tensor:
    """What a cell knows after the last of the frames, which it goes through in this order."""
    batch, _, height, width = frames[0].shape
    hidden_BFhw = frames[0].new_zeros(batch, features, height // REDUCTION, width // REDUCTION)
    for index, frame_BCHW in enumerate(frames):
        if index:
            flow_B2HW, found_B = flow_between(frame_BCHW, frames[index - 1])
            flow_B2hw = F.avg_pool2d(flow_B2HW, REDUCTION) / REDUCTION
            hidden_BFhw = warped(hidden_BFhw.float(), flow_B2hw) * found_B[:, None, None, None]
        hidden_BFhw = cell(torch.cat([F.pixel_unshuffle(frame_BCHW, REDUCTION), hidden_BFhw], 1))
    return hidden_BFhw
