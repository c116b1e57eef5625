"""Patches of restored images that hold what their input does not support: how many, and where.

Shapes: B batch, C channels, H and W height and width of the restored image, h and w of the input, R and K
rows and columns of patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.contract import Condition
from models.noise_level import estimate_noise_level
from models.unsupported import detail_scores, patches, residual_scores
from pipeline.processing.cases import Case
from pipeline.processing.input_facts import TrustInputs
from pipeline.processing.metric_inputs import with_input
from pipeline.trust.flags import FlagBounds, FlagEvidence


@dataclass(frozen=True)
class Flagged:
    """Of one image: its columns, and how far each patch is above what is allowed, 1 being just that."""

    columns: dict[str, Any]
    ratio_RK: Tensor | None = None


@dataclass(frozen=True)
class InventionFlags:
    """``flags(inputs, condition)``: of images of one shape under one degradation."""

    bounds: FlagBounds | None
    """``None`` in a benchmark."""

    def __call__(self, inputs: TrustInputs, condition: Condition) -> list[Flagged]:
        """Flags of every image."""
        cases, restored_BCHW, valid_B1HW = inputs.cases, inputs.restored_BCHW, inputs.valid_B1HW
        again_BChw, degraded_BChw, known_B1hw = with_input(restored_BCHW, cases, 0)
        level_B = condition.noise_level_B
        if level_B is None:
            level_B = estimate_noise_level(degraded_BChw)
        level_B = level_B.expand(len(cases))
        height, width = degraded_BChw.shape[-2:]
        residual_BRK = patches(residual_scores(again_BChw, degraded_BChw, level_B, known_B1hw), height, width)
        detail_B1HW = detail_scores(restored_BCHW, degraded_BChw)
        if valid_B1HW is not None:
            detail_B1HW = torch.where(valid_B1HW, detail_B1HW, 0.0)
        detail_BRK = patches(detail_B1HW, height, width)
        return [
            self._flagged(case, inputs.facts[place], residual_BRK[place], detail_BRK[place])
            for place, case in enumerate(cases)
        ]

    def _flagged(self, case: Case, facts: dict[str, Any], residual_RK: Tensor, detail_RK: Tensor) -> Flagged:
        if facts["samples"] == 0:
            return Flagged({"flags_reason": "ALL_NODATA: not one pixel holds data"})
        if not bool(residual_RK.isfinite().all()):
            return Flagged(
                {"flags_reason": "DEGRADATION: it cannot be repeated, so nothing tells what it destroys"}
            )
        evidence = FlagEvidence(**facts, residual=float(residual_RK.max()), detail=float(detail_RK.max()))
        columns: dict[str, Any] = {"flags_evidence": evidence.to_json()}
        if self.bounds is None:
            return Flagged(columns)
        reason = self.bounds.outside(evidence, case.model.size[2], case.model.domain.dtype)
        if reason is not None:
            return Flagged(columns | {"flags_reason": reason})
        ratio_RK = torch.maximum(residual_RK / self.bounds.residual, detail_RK / self.bounds.detail)
        return Flagged(columns | {"flags": int((ratio_RK > 1).sum())}, ratio_RK)
