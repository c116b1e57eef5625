"""Scores of a sequence: how its frames follow each other, beside how good each of them is.

The channels of an image are the frames of its sequence: those of a multi-frame DICOM object, or of a stack
that was read into one array.

Shapes: B batch, C channels, which are frames, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from models.stacks.flow import flow_between, warped
from pipeline.metrics import valid
from pipeline.metrics.base import FULL_RANGE, MetricProtocol
from pipeline.metrics.mse import mean_squared_error

_COLOUR = "every channel a frame, in order"
_FLOW = (
    "flow by Lucas and Kanade on halves and quarters of the size, windows of 9 x 9, from where phase "
    "correlation puts the frame; pixels without data are zero for it"
)
_LEAST = 32
_Pair = tuple[Tensor, Tensor]
"""A frame and the next one, B1HW."""


@dataclass(frozen=True)
class WorstFramePSNR:
    """Peak signal-to-noise ratio of the worst frame."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="psnr_worst_frame",
        formula="least, over frames, of -10 log10(mean over valid pixels of (restored - reference)^2)",
        colour=_COLOUR,
        border="scale",
        data_range=FULL_RANGE,
        unit="dB",
        higher_is_better=True,
        best=float("inf"),
        source="definition",
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64."""
        frames = zip(_frames(restored_BCHW, None), _frames(reference_BCHW, None), strict=True)
        error_BC = torch.stack([mean_squared_error(*each, valid_B1HW) for each in frames], 1)
        return error_BC.amax(1).log10().mul_(-10.0)


@dataclass(frozen=True)
class TemporalError:
    """What flickers: changes from frame to frame, motion taken away, that the reference does not have."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="temporal_error",
        formula=(
            "root mean square, over pairs of frames that follow each other and valid pixels, of d(restored) "
            "- d(reference), where d(x) = x[t+1] along the reference's flow, minus x[t]; " + _FLOW
        ),
        colour=_COLOUR,
        border="scale",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source="warping error of Lai et al., ECCV 2018, against a reference",
        minimum_size=_LEAST,
        fewest_bands=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; NaN for a single frame."""

        def flicker(x: _Pair, y: _Pair) -> Tensor:
            flow_B2HW, _ = flow_between(*y)
            changes = [warped(later, flow_B2HW) - earlier for earlier, later in (x, y)]
            return (changes[0] - changes[1]).square()

        return _over_pairs(flicker, restored_BCHW, reference_BCHW, valid_B1HW).sqrt()


@dataclass(frozen=True)
class FlowError:
    """Whether things move as they do in the reference."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="flow_error",
        formula=(
            "mean, over pairs of frames that follow each other and valid pixels, of the distance between the "
            "flow of the restored frames and that of the reference's; " + _FLOW
        ),
        colour=_COLOUR,
        border="scale",
        data_range="none: pixels",
        unit="pixels",
        higher_is_better=False,
        best=0.0,
        source="tOF of Chu et al., Learning Temporal Coherence via Self-Supervision (TecoGAN), ACM TOG 2020",
        minimum_size=_LEAST,
        fewest_bands=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; NaN for a single frame."""

        def distance(x: _Pair, y: _Pair) -> Tensor:
            apart_B2HW = flow_between(*x)[0] - flow_between(*y)[0]
            return apart_B2HW.square().sum(1, keepdim=True).sqrt()

        return _over_pairs(distance, restored_BCHW, reference_BCHW, valid_B1HW)


def _over_pairs(
    differ: Callable[[_Pair, _Pair], Tensor],
    restored_BCHW: Tensor,
    reference_BCHW: Tensor,
    valid_B1HW: Tensor | None,
) -> Tensor:
    """(B,) float64: the mean over frames that follow each other and over valid pixels; NaN without a pair."""
    if _is_undefined(reference_BCHW):
        return valid.undefined(reference_BCHW)
    restored, reference = (_frames(each, valid_B1HW) for each in (restored_BCHW, reference_BCHW))
    pairs = zip(pairwise(restored), pairwise(reference), strict=True)
    return torch.stack([valid.mean(differ(x, y), valid_B1HW) for x, y in pairs], 1).mean(1)


def _is_undefined(reference_BCHW: Tensor) -> bool:
    return reference_BCHW.shape[1] < 2 or min(reference_BCHW.shape[-2:]) < _LEAST


def _frames(image_BCHW: Tensor, valid_B1HW: Tensor | None) -> tuple[Tensor, ...]:
    return tuple(frame_BHW[:, None] for frame_BHW in valid.blanked(image_BCHW, valid_B1HW).unbind(1))
