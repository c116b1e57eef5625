"""One image under one restorer, explained: the maths of ``models.insight`` on the part that matters.

Shapes: C channels, H and W height and width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.contract import Condition
from models.insight.activations import activations_of, layers_of, network_of
from models.insight.attribution import Attribution, OnStep, attribute
from models.insight.receptive_field import effective_receptive_field, radius_holding
from models.insight.targets import TARGETS, Region
from models.insight.tracing import Traced, trace
from models.names import unknown
from models.operators.resample import imresize
from models.restorer import Restorer
from pipeline.errors import JobError

REACH, LEAST = 80, 16
"""Input pixels around the region that are looked at: at most, which is where the card does not say that fewer
matter, and at least, so that there is something to see."""
LARGEST = 128
"""Longest side of a region in input pixels."""
USUAL = 16
"""Side in input pixels of a region that nobody chose."""
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Window:
    """The part of the input that is looked at, in its pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: Tensor, scale: int = 1) -> Tensor:
        """That part of an image whose last two axes are height and width, ``scale`` times as large."""
        rows = slice(scale * self.top, scale * (self.top + self.height))
        columns = slice(scale * self.left, scale * (self.left + self.width))
        return image[..., rows, columns]


@dataclass(frozen=True)
class Layer:
    """Channels of one layer, those with the most going on first."""

    name: str
    channel_CHW: Tensor
    channels: int
    """Of the layer; not all are shown."""


@dataclass(frozen=True)
class Explanation:
    """What was found."""

    region: Region
    """In pixels of the output."""
    window: Window
    """In pixels of the input; maps below are of its size."""
    scale: int
    is_cut: bool
    """Whether pixels beyond the window matter too, as far as the card says."""
    target: str
    attribution: Attribution
    field_HW: Tensor
    """Effective receptive field of the place at the region's middle."""
    radii: tuple[int, ...]
    """Of the squares that hold ``SHARES`` of it."""
    halo: int | None
    layer: Layer | None
    layers: list[str]


def explain(
    restorer: Restorer,
    image_1CHW: Tensor,
    condition: Condition,
    *,
    region: Region | None = None,
    target: str = "detail",
    layer: str | None = None,
    most_channels: int = 64,
    on_step: OnStep | None = None,
) -> Explanation:
    """Explains a region of the output: without one, where the restorer changed the image most.

    ``layer`` is the name of one whose channels are to be shown; the middle one else; ``on_step`` is told of
    the attribution's steps. ``JobError`` for an unknown target or layer and a region outside the image;
    ``RestorerError`` where no gradient flows.
    """
    if target not in TARGETS:
        raise JobError(f"--of: {unknown('target', target, TARGETS)}")
    scale = restorer.card.scale or condition.scale
    image_1CHW = image_1CHW.clone()  # what was made in inference mode takes part in no gradient
    region = region or _most_changed(restorer(image_1CHW, condition=condition), image_1CHW, scale)
    _check_region(region, image_1CHW, scale)
    window = _window(region, restorer, image_1CHW, scale)
    seen_1CHW, told = window.cut(image_1CHW), _within(condition, window, scale)
    restored = trace(restorer, seen_1CHW, told)
    inner = replace(region, left=region.left - scale * window.left, top=region.top - scale * window.top)
    row, column = (inner.top + inner.height // 2) // scale, (inner.left + inner.width // 2) // scale
    field_HW = effective_receptive_field(restored, seen_1CHW, row, column, scale)
    shown, names = _layer(restorer, restored, seen_1CHW, layer, most_channels)
    size = (image_1CHW.shape[-2], image_1CHW.shape[-1])
    return Explanation(
        region=region,
        window=window,
        scale=scale,
        is_cut=(window.height, window.width) != size and _reach(restorer) > REACH,
        target=target,
        attribution=attribute(restored, seen_1CHW, _aimed(TARGETS[target], inner), on_step),
        field_HW=field_HW,
        radii=tuple(radius_holding(field_HW, row, column, share) for share in SHARES),
        halo=restorer.card.halo,
        layer=shown,
        layers=names,
    )


def _aimed(target: Callable[[Tensor], Tensor], region: Region) -> Callable[[Tensor], Tensor]:
    return lambda restored_BCHW: target(region(restored_BCHW))


def _most_changed(restored_1CHW: Tensor, image_1CHW: Tensor, scale: int) -> Region:
    """The square of ``USUAL`` input pixels in which the output is farthest from the enlarged input."""
    height, width = restored_1CHW.shape[-2:]
    plain_1CHW = image_1CHW if scale == 1 else imresize(image_1CHW, height, width)
    moved_11HW = (restored_1CHW - plain_1CHW).abs().mean(1, keepdim=True)
    side = min(USUAL * scale, height, width)
    sums_HW = torch.nn.functional.avg_pool2d(moved_11HW, side, stride=1)[0, 0]
    top, left = divmod(int(sums_HW.argmax()), sums_HW.shape[1])
    return Region(left, top, side, side)


def _check_region(region: Region, image_1CHW: Tensor, scale: int) -> None:
    height, width = (scale * side for side in image_1CHW.shape[-2:])
    if min(region.width, region.height) < 1 or max(region.width, region.height) > LARGEST * scale:
        raise JobError(
            f"--region: {region.width} x {region.height} pixels; give 1 to {LARGEST * scale} for each side"
        )
    if (
        min(region.left, region.top) < 0
        or region.left + region.width > width
        or region.top + region.height > height
    ):
        raise JobError(
            f"--region: {region.left},{region.top},{region.width},{region.height} is not within the restored "
            f"image, which has {width} x {height} pixels (width x height)"
        )


def _reach(restorer: Restorer) -> float:
    """How far pixels matter, as far as the card says."""
    card = restorer.card
    return card.halo if card.tile_exact and card.halo is not None else math.inf


def _window(region: Region, restorer: Restorer, image_1CHW: Tensor, scale: int) -> Window:
    """The region and what it is made of, from a multiple of the network's grid on."""
    height, width = image_1CHW.shape[-2:]
    step = restorer.card.multiple_of
    reach = int(min(max(LEAST, _reach(restorer) + step), REACH))

    def span(first: int, length: int, side: int) -> tuple[int, int]:
        begin = max(0, first // scale - reach) // step * step
        end = min(side, -(-(first + length) // scale) + reach)
        return begin, end - begin

    (top, tall), (left, wide) = (
        span(region.top, region.height, height),
        span(region.left, region.width, width),
    )
    return Window(top, left, tall, wide)


def _within(condition: Condition, window: Window, scale: int) -> Condition:
    mask_B1HW, frames_BTCHW = condition.mask_B1HW, condition.frames_BTCHW
    return replace(
        condition,
        mask_B1HW=None if mask_B1HW is None else window.cut(mask_B1HW),
        frames_BTCHW=None if frames_BTCHW is None else window.cut(frames_BTCHW),
        guide_BPHW=None if condition.guide_BPHW is None else window.cut(condition.guide_BPHW, scale),
    )


def _layer(
    restorer: Restorer, restored: Traced, image_1CHW: Tensor, name: str | None, most: int
) -> tuple[Layer | None, list[str]]:
    network = network_of(restorer)
    names = [] if network is None else layers_of(network, restored, image_1CHW)
    if network is None or not names:
        if name is not None:
            raise JobError(f"--layer: {restorer.card.name} has no layers that give pictures; leave it out")
        return None, []
    try:
        channel_CHW = activations_of(network, restored, image_1CHW, name or names[len(names) // 2])
    except ValueError as error:
        raise JobError(f"--{error}") from error
    liveliest = channel_CHW.flatten(1).std(1, correction=0).argsort(descending=True)[:most]
    return Layer(name or names[len(names) // 2], channel_CHW[liveliest], len(channel_CHW)), names
