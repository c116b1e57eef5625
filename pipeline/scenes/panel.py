"""One panel of a scene: restored as any other image is, with what it needs of its surroundings.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from models.contract import Condition
from pipeline.imaging.image import Image
from pipeline.imaging.nodata import filled
from pipeline.imaging.radiometry import clipped_and_stored, in_units, left_alone, to_tensor
from pipeline.jobs.job import Radiometry
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
from pipeline.scenes.block_codec import BlockCodec
from pipeline.scenes.blocks import Rectangle
from pipeline.scenes.geometry import Panel, Range, reach, widened
from pipeline.scenes.reader import Group, Scene
from pipeline.scenes.strip_statistics import StripStatistics


@dataclass
class Panels:
    """``panels(panel, groups)`` restores a rectangle of a scene and adds to the statistics."""

    scene: Scene
    fitted: AutoTiledRestorer
    radiometry: Radiometry | None
    condition: Condition
    device: torch.device
    statistics: StripStatistics = field(default_factory=StripStatistics)
    known: dict[str, Any] = field(default_factory=dict)
    """The row's ``tiling``, where a panel was cut."""

    @property
    def scale(self) -> int:
        """Of the output to the scene."""
        scale = self.fitted.restorer.card.scale
        return self.condition.scale if scale is None else scale

    @property
    def margin(self) -> int:
        """Beyond the halo: where the nearest pixel with data may lie of one that a pixel with data sees."""
        card = self.fitted.restorer.card
        return math.ceil(math.sqrt(2) * (card.halo or 0)) + 1 if self.scene.may_have_holes else 0

    def rows(self, rows: Range) -> Range:
        """The rows of the scene that a band of these needs."""
        height = self.scene.size[0]
        return widened(reach(rows, height, self.fitted.restorer.card), self.margin, height)

    def __call__(self, panel: Panel, groups: Sequence[Group]) -> tuple[Rectangle, bytes]:
        """The block of the output, and its place. Raises ``ImageError`` and ``RestorerError``."""
        height, width = self.scene.size
        rows = widened(panel.read_rows, self.margin, height)
        columns = widened(panel.read_columns, self.margin, width)
        around = in_units(self.scene.image(groups, rows, columns), self.radiometry)
        core = _window(around, rows, columns, panel.rows, panel.columns)
        restored = self._restored(panel, around, core, rows, columns)
        mask_HW = self.scene.mask(groups, panel.rows, panel.columns)
        if mask_HW is not None:
            mask_HW = mask_HW.repeat(self.scale, 0).repeat(self.scale, 1)
        data = BlockCodec.of(self.scene).encode(restored, mask_HW)
        top, left = panel.rows[0] * self.scale, panel.columns[0] * self.scale
        return Rectangle(top, left, *restored.size[:2]), data

    def _restored(self, panel: Panel, around: Image, core: Image, rows: Range, columns: Range) -> Image:
        scale, (height, width, channels) = self.scale, core.size
        self.statistics.pixels += height * width
        if core.valid_HW is not None and not core.valid_HW.any():
            return core.with_pixels(np.zeros((height * scale, width * scale, channels), core.domain.dtype))
        self.statistics.valid += height * width if core.valid_HW is None else int(core.valid_HW.sum())
        seen = _window(filled(around), rows, columns, panel.read_rows, panel.read_columns)
        seen_1CHW = to_tensor(replace(seen, valid_HW=None), self.device)
        restored_1CHW, cut = self.fitted(seen_1CHW, self.condition)
        self.known |= cut
        top, left = panel.rows[0] - panel.read_rows[0], panel.columns[0] - panel.read_columns[0]
        kept_1CHW = restored_1CHW[
            ..., top * scale : (top + height) * scale, left * scale : (left + width) * scale
        ]
        extremes = self.statistics.add(seen_1CHW[..., top : top + height, left : left + width], kept_1CHW)
        valid_HW = None if core.valid_HW is None else core.valid_HW.repeat(scale, 0).repeat(scale, 1)
        clipped, pixels_HWC = clipped_and_stored(kept_1CHW, core.domain, valid_HW, extremes)
        self.statistics.clipped += clipped
        core_1CHW = seen_1CHW[..., top : top + height, left : left + width]
        if core_1CHW.shape == kept_1CHW.shape:
            pixels_HWC = left_alone(pixels_HWC, core, (core_1CHW == kept_1CHW)[0])
        return core.with_pixels(pixels_HWC)


def _window(image: Image, rows: Range, columns: Range, its_rows: Range, its_columns: Range) -> Image:
    """A part of an image that holds the rows and columns of a scene."""
    down = slice(its_rows[0] - rows[0], its_rows[1] - rows[0])
    across = slice(its_columns[0] - columns[0], its_columns[1] - columns[0])
    valid_HW = None if image.valid_HW is None else image.valid_HW[down, across]
    return replace(
        image,
        pixels_HWC=image.pixels_HWC[down, across],
        valid_HW=None if valid_HW is None or valid_HW.all() else valid_HW,
        alpha_HW=None if image.alpha_HW is None else image.alpha_HW[down, across],
    )
