"""Whatever a row says of how far its image can be trusted, beside its estimated PSNR: intervals and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract import Condition
from pipeline.imaging.image import Image
from pipeline.imaging.transfer import Download
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
from pipeline.processing.cases import Case
from pipeline.processing.flags import Flagged, InventionFlags
from pipeline.processing.input_facts import TrustInputs
from pipeline.processing.intervals import Widths, intervals_of
from pipeline.recipe.recipe import Recipe


@dataclass(frozen=True)
class Trusted:
    """Of one image: its columns, half-widths to be stored, and maps for a page."""

    columns: dict[str, Any] = field(default_factory=dict)
    uncertainty: tuple[Image, Download] | None = None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """``half-width``, H x W as fractions of the range; ``flags``, a value for each patch, flagged above 1."""


class TrustColumns:
    """``columns(restorer, cases, condition, restored_BCHW)``: of images of one shape under one
    degradation."""

    def __init__(
        self, recipe: Recipe, fitted: Mapping[str, AutoTiledRestorer], device: torch.device, *, maps: bool
    ) -> None:
        bounds = None if recipe.calibration is None else recipe.calibration.flags
        self._intervals = intervals_of(recipe, fitted, device)
        self._flags = InventionFlags(bounds) if recipe.job.flags else None
        self._maps = maps

    def __call__(
        self, restorer: str, cases: Sequence[Case], condition: Condition, restored_BCHW: Tensor
    ) -> list[Trusted]:
        """``restored_BCHW`` as it is stored: rounded and clipped."""
        intervals, flags = self._intervals.get(restorer), self._flags
        if intervals is None and flags is None:
            return [Trusted() for _ in cases]
        inputs = TrustInputs.of(cases, restored_BCHW)
        widths = intervals(inputs, condition) if intervals else [Widths({}) for _ in cases]
        flagged = flags(inputs, condition) if flags else [Flagged({}) for _ in cases]
        return [self._joined(*each) for each in zip(widths, flagged, strict=True)]

    def _joined(self, widths: Widths, flagged: Flagged) -> Trusted:
        stored = None if widths.image is None else (widths.image, widths.download)
        maps: dict[str, NDArray[np.float32]] = {}
        if self._maps and widths.width_CHW is not None:
            maps["half-width"] = widths.width_CHW.mean(dim=0).float().cpu().numpy()
        if self._maps and flagged.ratio_RK is not None:
            maps["flags"] = flagged.ratio_RK.float().cpu().numpy()
        return Trusted(widths.columns | flagged.columns, stored, maps)
