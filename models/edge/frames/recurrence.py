"""``basicvsr`` for a graph: a recurrence over as many frames as there are, from either end to the image.

Shapes: B batch, T frames beside the image, S all of them in order, C channels, F features, H and W height
and width, h and w half of them, c channels of what is half as large, R two runs of flows: towards the image
along the scene, and from the image to each frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from models.edge.frames.accumulation import accumulated
from models.edge.frames.flow import Places, flow_between, sampled
from models.networks.basicvsr import REDUCTION, BasicVSR


class BasicVSRGraph(BasicVSR):
    """With the layers of the network given, which it shares.

    How many frames come before the image, a graph knows only when it runs: both directions go through all of
    them, and beyond the image nothing is taken on.
    """

    def __init__(self, network: BasicVSR) -> None:
        nn.Module.__init__(self)
        self.channels, self.features, self.conditions = network.channels, network.features, network.conditions
        self.backward_cell, self.forward_cell = network.backward_cell, network.forward_cell
        self.aggregation, self.tail = network.aggregation, network.tail

    def forward(
        self, image_BCHW: Tensor, frames_BTCHW: Tensor | None = None, place_B: Tensor | None = None
    ) -> Tensor:
        """The restored image."""
        if frames_BTCHW is None or place_B is None:
            return super().forward(image_BCHW)
        scene_SBCHW, step_S = _in_order(image_BCHW, frames_BTCHW, place_B)
        small_SBchw = F.pixel_unshuffle(scene_SBCHW, REDUCTION)
        frames_TBCHW = frames_BTCHW.transpose(0, 1)
        # Whatever moves is looked for at once: each flow makes the graph longer by a few hundred operators.
        nearer_TBCHW, farther_TBCHW = _towards_the_image(scene_SBCHW, step_S)
        flow_RTB2HW, found_RTB = _flows(
            torch.stack([nearer_TBCHW, image_BCHW.expand_as(frames_TBCHW)]),
            torch.stack([farther_TBCHW, frames_TBCHW]),
        )
        flow_N2hw = F.avg_pool2d(flow_RTB2HW[0].flatten(0, 1), REDUCTION) / REDUCTION
        grid_TBhw2 = torch.unflatten(Places(flow_N2hw).moved(flow_N2hw), 0, frames_TBCHW.shape[:2])
        found_TB = found_RTB[0]
        some_1Bhw2, nothing_1B = torch.zeros_like(grid_TBhw2[:1]), torch.zeros_like(found_TB[:1])
        forward_BFhw = self._carried(
            self.forward_cell,
            small_SBchw,
            torch.cat([some_1Bhw2, grid_TBhw2]),
            torch.cat([nothing_1B, found_TB]),
            step_S <= 0,
        )
        backward_BFhw = self._carried(
            self.backward_cell,
            small_SBchw.flip(0),
            torch.cat([grid_TBhw2, some_1Bhw2]).flip(0),
            torch.cat([found_TB, nothing_1B]).flip(0),
            step_S.flip(0) >= 0,
        )
        base_BCHW = accumulated(image_BCHW, frames_TBCHW, flow_RTB2HW[1], found_RTB[1])
        known = torch.cat([F.pixel_unshuffle(base_BCHW, REDUCTION), forward_BFhw, backward_BFhw], 1)
        details_BChw: Tensor = self.tail(self.aggregation(known))
        return base_BCHW + F.pixel_shuffle(details_BChw, REDUCTION)

    def _carried(
        self,
        cell: nn.Module,
        small_SBchw: Tensor,
        grid_SBhw2: Tensor,
        found_SB: Tensor,
        counts_S: Tensor,
    ) -> Tensor:
        """BFhw: what a cell knows after the last of the frames that count, gone through in this order."""

        def step(hidden_BFhw: Tensor, told: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            small_Bchw, grid_Bhw2, found_B, counts = told
            carried_BFhw = sampled(hidden_BFhw, grid_Bhw2) * found_B[:, None, None, None]
            known_BFhw = cell(torch.cat([small_Bchw, carried_BFhw], 1))
            # A scan gives something for each of its steps, too.
            return torch.where(counts, known_BFhw, hidden_BFhw).contiguous(), counts.clone()

        start_BFhw = torch.zeros_like(small_SBchw[0, :, :1]).expand(-1, self.features, -1, -1).contiguous()
        hidden_BFhw: Tensor = scan(step, start_BFhw, (small_SBchw, grid_SBhw2, found_SB, counts_S))[0]
        return hidden_BFhw


def _in_order(image_BCHW: Tensor, frames_BTCHW: Tensor, place_B: Tensor) -> tuple[Tensor, Tensor]:
    """The image among its frames (SBCHW), and how far behind the image each of them comes (S)."""
    stack_SBCHW = torch.cat([image_BCHW[None], frames_BTCHW.transpose(0, 1)])
    index_S = torch.arange(stack_SBCHW.shape[0])
    step_S = index_S - torch.minimum(place_B[:1].clamp_min(0), index_S[-1:])
    source_S = torch.where(step_S < 0, index_S + 1, torch.where(step_S == 0, 0, index_S))
    return stack_SBCHW.index_select(0, source_S), step_S


def _towards_the_image(scene_SBCHW: Tensor, step_S: Tensor) -> tuple[Tensor, Tensor]:
    """Of each two neighbours, the one nearer to the image and the other one: TBCHW."""
    earlier_TBCHW, later_TBCHW = scene_SBCHW[:-1], scene_SBCHW[1:]
    is_before_T1111 = (step_S[:-1] < 0)[:, None, None, None, None]
    return (
        torch.where(is_before_T1111, later_TBCHW, earlier_TBCHW),
        torch.where(is_before_T1111, earlier_TBCHW, later_TBCHW),
    )


def _flows(images_RTBCHW: Tensor, others_RTBCHW: Tensor) -> tuple[Tensor, Tensor]:
    """RTB2HW, and RTB: 1 where the flow was found, else 0."""
    flow_N2HW, found_N = flow_between(images_RTBCHW.flatten(0, 2), others_RTBCHW.flatten(0, 2))
    whole = images_RTBCHW.shape[:3]
    found_RTB = torch.unflatten(found_N.to(images_RTBCHW), 0, whole)
    return torch.unflatten(flow_N2HW, 0, whole), found_RTB
