"""The two images of a metric, and where they count: one function for each kind of ``MetricInputs``.

Shapes: B batch, C channels, H and W height and width of the restored image, h and w of the degraded input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.guides.matching import seen_coarsely
from pipeline.degradation.degradation import Degraded
from pipeline.degradation.replay import REACH
from pipeline.imaging.image import Image
from pipeline.metrics.base import Metric, MetricInputs
from pipeline.processing.pairs import in_reference_range

AnyMetric = TypeVar("AnyMetric", bound=Metric)


class Given(Protocol):
    """What there is of an image besides the restored one: a ``Case``, or a part of a scene."""

    @property
    def reference(self) -> Image:
        """The source; only where it holds data is asked of it."""
        ...

    @property
    def reference_1CHW(self) -> Tensor:  # noqa: N802
        """Its pixels as fractions of the range."""
        ...

    @property
    def degraded(self) -> Degraded:
        """The restorer's input."""
        ...

    @property
    def found(self) -> Image | None:
        """Of a pair, the source beside its reference."""
        ...


Images = tuple[Tensor, Tensor, Tensor | None]
"""What a metric is called with."""


def with_reference(restored_BCHW: Tensor, cases: Sequence[Given], border: int) -> Images:
    """The restored images and the references, ``border`` pixels cut from each side."""
    reference_BCHW = torch.cat([case.reference_1CHW for case in cases])
    valid_B1HW = valid_mask(cases, restored_BCHW.device)
    valid_B1HW = None if valid_B1HW is None else _cut(valid_B1HW, border)
    return _cut(restored_BCHW, border), _cut(reference_BCHW, border), valid_B1HW


def in_physical_units(restored_BCHW: Tensor, cases: Sequence[Given], border: int) -> Images:
    """As ``with_reference``, in physical units over those of the range: a ratio of any two stays what it is.

    Float64 where the range does not begin at zero, or bands differ in scale or offset.
    """
    restored_BCHW, reference_BCHW, valid_B1HW = with_reference(restored_BCHW, cases, border)
    domains = [case.reference.domain for case in cases]
    gain_BC11 = _by_band([domain.gains for domain in domains], restored_BCHW)
    zero_BC11 = _by_band([domain.zeros for domain in domains], restored_BCHW)
    if bool((gain_BC11 == 1).all()) and bool((zero_BC11 == 0).all()):
        return restored_BCHW, reference_BCHW, valid_B1HW
    physical = [(image.double() - zero_BC11) * gain_BC11 for image in (restored_BCHW, reference_BCHW)]
    return physical[0], physical[1], valid_B1HW


def _by_band(values: Sequence[Sequence[float]], image_BCHW: Tensor) -> Tensor:
    """One number for all bands, or one for each: float64 (B, C or 1, 1, 1)."""
    return torch.tensor(values, dtype=torch.float64, device=image_BCHW.device)[:, :, None, None]


def unregistered(restored_BCHW: Tensor, cases: Sequence[Given], _border: int) -> Images:
    """The whole restored images, NaN where they hold no data, and the references; valid as the references.

    Where the images do not lie on each other, one mask cannot stand for both.
    """
    reference_BCHW = torch.cat([case.reference_1CHW for case in cases])
    height, width = restored_BCHW.shape[-2:]
    own = [case.reference if case.found is None else case.found for case in cases]
    if any(image.valid_HW is not None for image in own):
        holds = [np.ones(image.size[:2], bool) if image.valid_HW is None else image.valid_HW for image in own]
        holds_B1HW = torch.from_numpy(np.stack(holds))[:, None].to(restored_BCHW.device)
        restored_BCHW = restored_BCHW.where(_enlarged(holds_B1HW, height, width), torch.nan)
    return restored_BCHW, reference_BCHW, valid_mask(cases, restored_BCHW.device)


def with_input(restored_BCHW: Tensor, cases: Sequence[Given], _border: int) -> Images:
    """The restored images, degraded again, and the degraded inputs; known pixels of the input count.

    Where a degradation cannot be repeated the first image is NaN, and so is every score of it.
    """
    degraded_BChw = torch.cat([case.degraded.image_BCHW for case in cases])
    reference_BCHW = torch.cat([case.reference_1CHW for case in cases])
    valid_B1HW = valid_output(cases, restored_BCHW)
    known_B1hw = _known(cases, valid_B1HW, degraded_BChw)
    if valid_B1HW is not None and restored_BCHW.shape == reference_BCHW.shape:
        # Blur carries what lies outside the data into it: the same in both images, it cancels out.
        restored_BCHW = torch.where(valid_B1HW, restored_BCHW, reference_BCHW)
    elif valid_B1HW is not None and known_B1hw is not None:
        # Of a size for which there is no reference: what rests on pixels outside the data cannot count.
        known_B1hw = F.max_pool2d((~known_B1hw).float(), 2 * REACH + 1, stride=1, padding=REACH) == 0
    again = [_degraded_again(image[None], case) for image, case in zip(restored_BCHW, cases, strict=True)]
    return torch.cat(again), degraded_BChw, known_B1hw


def with_both(restored_BCHW: Tensor, cases: Sequence[Given], border: int) -> Images:
    """As ``with_reference``; behind the reference's channels those of the input, enlarged bilinearly."""
    restored_BCHW, reference_BCHW, valid_B1HW = with_reference(restored_BCHW, cases, border)
    height, width = cases[0].reference_1CHW.shape[-2:]
    given_BChw = torch.cat([case.degraded.image_BCHW for case in cases])
    if given_BChw.shape[-2:] != (height, width):
        given_BChw = F.interpolate(given_BChw, (height, width), mode="bilinear", antialias=True)
    given_BCHW = in_reference_range(given_BChw, cases[0].found, cases[0].reference)
    return restored_BCHW, torch.cat([reference_BCHW, _cut(given_BCHW, border)], dim=1), valid_B1HW


def with_guide(restored_BCHW: Tensor, cases: Sequence[Given], _border: int) -> Images:
    """The restored images, the guide's mean behind their channels; the inputs with the guide at their size.

    NaN where there is no guide, or it is not of the restored image's size: there is no score.
    """
    given_BChw = torch.cat([case.degraded.image_BCHW for case in cases])
    guides = [case.degraded.condition.guide_BPHW for case in cases]
    fitting = [each.mean(1, keepdim=True) for each in guides if each is not None]
    (height, width), (low_height, low_width) = restored_BCHW.shape[-2:], given_BChw.shape[-2:]
    scale = height // low_height
    is_whole = (height, width) == (scale * low_height, scale * low_width)
    if len(fitting) < len(cases) or not is_whole or fitting[0].shape[-2:] != restored_BCHW.shape[-2:]:
        nothing_BCHW = torch.full_like(given_BChw, torch.nan)
        return nothing_BCHW, nothing_BCHW, None
    guide_B1HW = torch.cat(fitting).to(restored_BCHW)
    fused_BXHW = torch.cat([restored_BCHW, guide_B1HW], dim=1)
    low_BXhw = torch.cat([given_BChw, seen_coarsely(guide_B1HW, scale)], dim=1)
    return fused_BXHW, low_BXhw, valid_output(cases, restored_BCHW)


def alone(restored_BCHW: Tensor, cases: Sequence[Given], border: int) -> Images:
    """The restored images twice; valid where the references are, at whatever size."""
    valid_B1HW = valid_output(cases, restored_BCHW)
    if valid_B1HW is not None:
        valid_B1HW = _cut(valid_B1HW, border)
    restored_BCHW = _cut(restored_BCHW, border)
    return restored_BCHW, restored_BCHW, valid_B1HW


METRIC_INPUTS: dict[MetricInputs, Callable[[Tensor, Sequence[Given], int], Images]] = {
    MetricInputs.REFERENCE: with_reference,
    MetricInputs.PHYSICAL: in_physical_units,
    MetricInputs.UNREGISTERED: unregistered,
    MetricInputs.INPUT: with_input,
    MetricInputs.BOTH: with_both,
    MetricInputs.GUIDED: with_guide,
    MetricInputs.ALONE: alone,
}
"""How each kind of inputs is made from a batch."""


def of_input(metrics: Mapping[str, AnyMetric]) -> dict[str, AnyMetric]:
    """The metrics of an input that nobody degraded: it is no fused image, and consistent with itself."""
    return {
        name: metric
        for name, metric in metrics.items()
        if metric.protocol.pair not in (MetricInputs.INPUT, MetricInputs.GUIDED)
    }


def valid_mask(cases: Sequence[Given], device: torch.device) -> Tensor | None:
    """B1HW: true where the references hold data; ``None`` where all of them do everywhere."""
    masks = [case.reference.valid_HW for case in cases]
    if all(mask is None for mask in masks):
        return None
    height, width = cases[0].reference_1CHW.shape[-2:]
    filled = [np.ones((height, width), bool) if mask is None else mask for mask in masks]
    return torch.from_numpy(np.stack(filled))[:, None].to(device)


def valid_output(cases: Sequence[Given], restored_BCHW: Tensor) -> Tensor | None:
    """``valid_mask`` at the size of the restored images."""
    valid_B1HW = valid_mask(cases, restored_BCHW.device)
    return None if valid_B1HW is None else _enlarged(valid_B1HW, *restored_BCHW.shape[-2:])


def _degraded_again(restored_1CHW: Tensor, case: Given) -> Tensor:
    degraded_1Chw, replay = case.degraded.image_BCHW, case.degraded.replay
    again = replay(restored_1CHW) if replay is not None else None
    if again is None or again.shape != degraded_1Chw.shape:
        return torch.full_like(degraded_1Chw, torch.nan)
    return again


def _known(cases: Sequence[Given], valid_B1HW: Tensor | None, degraded_BChw: Tensor) -> Tensor | None:
    """Pixels of the inputs that rest on data, and that no mask of the same size hides."""
    known_B1hw = None if valid_B1HW is None else _smaller(valid_B1HW, degraded_BChw.shape[-1])
    masks = [case.degraded.condition.mask_B1HW for case in cases]
    if any(mask is None or mask.shape[-2:] != degraded_BChw.shape[-2:] for mask in masks):
        return known_B1hw
    shown_B1hw = torch.cat([mask > 0.5 for mask in masks if mask is not None]).to(degraded_BChw.device)
    return shown_B1hw if known_B1hw is None else known_B1hw & shown_B1hw


def _enlarged(valid_B1HW: Tensor, height: int, width: int) -> Tensor:
    if valid_B1HW.shape[-2:] == (height, width):
        return valid_B1HW
    return F.interpolate(valid_B1HW.float(), (height, width), mode="nearest-exact") > 0.5


def _smaller(valid_B1HW: Tensor, width: int) -> Tensor:
    """True where all pixels of the larger mask under a smaller one are: B1hw."""
    scale = valid_B1HW.shape[-1] // width
    return -F.max_pool2d(-valid_B1HW.float(), scale) == 1


def _cut(image_BCHW: Tensor, border: int) -> Tensor:
    return image_BCHW[..., border:-border, border:-border] if border else image_BCHW
