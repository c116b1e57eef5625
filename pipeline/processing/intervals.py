"""Intervals about the pixels of restored images: how wide, and why an image has none.

Shapes: B batch, C channels, H and W height and width of the restored image, N valid samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from models.catalog import identity
from models.contract import Condition
from models.uncertainties import UNCERTAINTIES
from models.uncertainties.base import Restore, Uncertainty
from pipeline.errors import describe
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.imaging.transfer import ARRIVED, Download, download
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
from pipeline.processing.cases import Case
from pipeline.processing.input_facts import TrustInputs, chosen
from pipeline.quarantine import is_out_of_memory
from pipeline.recipe.recipe import Recipe
from pipeline.trust.intervals import SHARES, IntervalBounds, IntervalEvidence

_KEPT = ("png", "tiff", "geotiff", "nifti")
"""Formats that hold a map of widths beside an image of theirs: without loss, with its place on the ground."""


@dataclass(frozen=True)
class Widths:
    """Of one image: its columns, and its half-widths where they are to be stored."""

    columns: dict[str, Any]
    image: Image | None = None
    download: Download = ARRIVED
    width_CHW: Tensor | None = None
    """Half-widths as fractions of the range."""


@dataclass(frozen=True)
class PixelIntervals:
    """``intervals(inputs, condition)``: of images of one shape under one degradation.

    Never raises but for want of memory: an image that has none has the reason in its row.
    """

    uncertainty: Uncertainty
    restore: Restore
    bounds: IntervalBounds | None
    """``None`` in a benchmark, which knows the truth."""
    is_saved: bool

    def __call__(self, inputs: TrustInputs, condition: Condition) -> list[Widths]:
        """Half-widths of every image."""
        cases, restored_BCHW, valid_B1HW = inputs.cases, inputs.restored_BCHW, inputs.valid_B1HW
        try:
            spread_BCHW = self.uncertainty(self.restore, inputs.degraded_BChw, condition, restored_BCHW)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return [Widths({"uncertainty_reason": f"FAILED: {describe(error)}"}) for _ in cases]
        masks = [None] * len(cases) if valid_B1HW is None else list(valid_B1HW)
        each = zip(cases, inputs.facts, spread_BCHW, restored_BCHW, masks, strict=True)
        return [self._widths(*one) for one in each]

    def _widths(
        self,
        case: Case,
        facts: dict[str, Any],
        spread_CHW: Tensor,
        restored_CHW: Tensor,
        valid_1HW: Tensor | None,
    ) -> Widths:
        spread_N = chosen(spread_CHW, valid_1HW).double()
        if not len(spread_N):
            return Widths({"uncertainty_reason": "ALL_NODATA: not one pixel holds data"})
        evidence = IntervalEvidence(**facts, method=self.uncertainty.name, spread=float(spread_N.mean()))
        if self.bounds is None:
            error_N = chosen((restored_CHW - case.reference_1CHW[0]).abs(), valid_1HW).double()
            known = replace(evidence, ratios=ratios_of(error_N, spread_N))
            return Widths({"uncertainty_evidence": known.to_json()})
        columns: dict[str, Any] = {"uncertainty_evidence": evidence.to_json()}
        reason = self.bounds.refusal(evidence, len(restored_CHW), case.model.domain.dtype)
        if reason is not None:
            return Widths(columns | {"uncertainty_reason": reason})
        width_CHW = self.bounds.scale * spread_CHW
        columns |= _statistics(self.bounds.scale * spread_N)
        if not self.is_saved:
            return Widths(columns, width_CHW=width_CHW)
        return Widths(columns, *width_map(case.model, width_CHW), width_CHW=width_CHW)


def intervals_of(
    recipe: Recipe, fitted: Mapping[str, AutoTiledRestorer], device: torch.device
) -> dict[str, PixelIntervals]:
    """By restorer, of those that have an ``uncertainty``; ``fitted`` are the recipe's restorers on the
    device."""
    bounds = None if recipe.calibration is None else recipe.calibration.intervals
    found = {}
    for built in recipe.restorers:
        if built.spec.uncertainty is not None:
            uncertainty, restorer = UNCERTAINTIES[built.spec.uncertainty], fitted[built.name]
            subject = uncertainty.subject(built.restorer)
            if subject is not built.restorer:
                restorer = AutoTiledRestorer(
                    subject, identity(subject), device, memory_share=restorer.memory_share
                )
            restore = partial(_restored, restorer)
            found[built.name] = PixelIntervals(uncertainty, restore, bounds, recipe.job.save_uncertainty)
    return found


def _restored(restorer: AutoTiledRestorer, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
    return restorer(degraded_BCHW, condition)[0]


def ratios_of(error_N: Tensor, spread_N: Tensor) -> tuple[float, ...]:
    """For each of ``SHARES``: the least scale that leaves at most so many errors above scale times spread."""
    ratio_N = (error_N / spread_N.clamp_min(1e-12)).sort().values
    count = len(ratio_N)
    outside = [int(share * count + 1e-9) for share in SHARES]
    return tuple(0.0 if each >= count else float(ratio_N[count - 1 - each]) for each in outside)


def width_map(model: Image, width_CHW: Tensor) -> tuple[Image, Download]:
    """Half-widths in stored steps as an image like the model, whole ones rounded up; nothing but that in
    it."""
    domain = model.domain
    span = domain.high - domain.low
    own = Domain(domain.dtype, 0.0, span, domain.unit, domain.scales, (0.0,) * len(domain.offsets))
    steps_1CHW = width_CHW[None] * span
    if domain.is_integer:
        steps_1CHW = steps_1CHW.ceil().clamp(0, own.storable[1])
    arriving = download(steps_1CHW, domain.dtype)
    if model.valid_HW is not None:  # then they are looked at here
        arriving.wait()
    shown = replace(model, alpha_HW=None).with_pixels(arriving.pixels_BHWC[0])
    return replace(shown, domain=own, metadata=_metadata(model)), arriving


def _metadata(model: Image) -> Metadata:
    """Of the format that a map is stored in: no header that names anybody, nor offsets that move a width."""
    name, channels = model.metadata.format, model.size[2]
    has_offset = any(model.domain.offsets)
    if name in ("geotiff", "nifti") and not has_offset:
        return Metadata(name, model.metadata.entries)
    if model.domain.dtype in ("uint8", "uint16") and channels in (1, 3) and name not in _KEPT[1:]:
        return Metadata("png")
    return Metadata("tiff")


def _statistics(width_N: Tensor) -> dict[str, float]:
    """Fractions of the data range."""
    place = max(int(0.95 * len(width_N)) - 1, 0)
    return {
        "uncertainty_mean": float(width_N.mean()),
        "uncertainty_p95": float(width_N.sort().values[place]),
        "uncertainty_max": float(width_N.max()),
    }
