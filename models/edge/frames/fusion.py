"""``frame_fusion`` for a graph: the order of frames, their registration and their noise without Python.

Shapes: B batch, T frames, C channels, H and W height and width, P and Q those of the finer grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.edge.frames.enlarging import enlarged
from models.edge.frames.registration import registered
from models.networks.frame_fusion import FrameFusion
from models.stacks.adding import added_to
from models.stacks.sampling import Sampling

_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole part, are weights of which no sum of a few is another."""


class FrameFusionGraph(FrameFusion):
    """With the layers of the network given, which it shares.

    As there, the order of the frames changes no bit: they are sorted by a sum of their pixels with weights
    that agree nowhere. The order is another one than in PyTorch, which changes sums by their rounding.
    """

    def __init__(self, network: FrameFusion) -> None:
        torch.nn.Module.__init__(self)
        self.channels, self.scale = network.channels, network.scale
        self.encoder, self.body, self.tail = network.encoder, network.body, network.tail

    def _in_order(self, frames_BTCHW: Tensor) -> Tensor:
        batch, count, channels, height, width = frames_BTCHW.shape
        places_N = torch.arange(channels * height * width, dtype=torch.float64) * _GOLDEN
        weight_N = places_N - torch.floor(places_N)
        key_BT = (frames_BTCHW.flatten(2).double() * weight_N).sum(-1)
        first_B1 = torch.arange(batch * count).view(batch, count)[:, :1]
        order_N = (first_B1 + key_BT.argsort(-1)).flatten()
        return frames_BTCHW.flatten(0, 1).index_select(0, order_N).view(frames_BTCHW.shape)

    def _registered(self, image_BCHW: Tensor, frames_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
        return registered(image_BCHW, frames_BTCHW)

    def _start(self, stack_BTCHW: Tensor, known_BT: Tensor, laid: Sampling) -> tuple[Tensor, Tensor]:
        plain_BCPQ = enlarged(stack_BTCHW[:, 0], self.scale)
        return added_to(plain_BCPQ, stack_BTCHW, known_BT, laid, _noise)


def _noise(missed_BTCHW: Tensor, known_BT: Tensor) -> Tensor:
    """``models.stacks.adding.noise_by_median``: frames that do not count are sorted behind all others."""
    known_BT1 = known_BT[..., None] > 0
    missed_BN = torch.where(known_BT1, missed_BTCHW.flatten(2).abs(), torch.inf).flatten(1)
    counted_B1 = known_BT1.expand_as(missed_BTCHW.flatten(2)).flatten(1).long().sum(-1, keepdim=True)
    return 1.4826 * missed_BN.sort(-1).values.gather(-1, (counted_B1 - 1) // 2)[:, 0]
