"""Estimates of what no reference tells: a restored image's PSNR, and a floor under it.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.contract import Condition
from models.flat_noise_level import flat_noise_level
from models.local_risk import ESTIMATED, KNOWN, local_risk
from models.noise_level import estimate_noise_level
from models.residual_noise_level import residual_noise_level
from models.risk import STEP, RiskMaps, probed, risk_by
from pipeline.errors import describe
from pipeline.hashing import seed_of
from pipeline.processing.cases import Case
from pipeline.processing.metric_inputs import valid_mask
from pipeline.quarantine import is_out_of_memory
from pipeline.trust.calibration import Calibration
from pipeline.trust.evidence import LEVELS, LOCAL, REFINED, Evidence
from pipeline.trust.noise import NoiseModel

_FAR = 1.5
_MARGIN = 4.0
"""An image's own noise may be so many times what was told, and so many 255ths beside: texture adds to it."""

Restore = Callable[[Tensor, Condition], Tensor]


@dataclass(frozen=True)
class PsnrEstimates:
    """``estimates(restore, cases, condition, restored_BCHW)`` gives the columns of each image.

    Costs one more call of ``restore``. Never raises but for want of memory: an image that cannot be estimated
    has the reason in its row.
    """

    calibration: Calibration | None

    def __call__(
        self,
        restore: Restore,
        needs: Sequence[str],
        cases: Sequence[Case],
        condition: Condition,
        restored_BCHW: Tensor,
    ) -> list[dict[str, Any]]:
        """Images of one shape under one degradation, as ``restored_BCHW = restore(noisy, condition)``.

        ``needs`` are the card's.
        """
        model = self._model(cases, condition)
        if model is None:
            reason = "DEGRADATION: only for Gaussian, Poisson and Poisson-Gaussian noise alone"
            return [self._without(reason) for _ in cases]
        try:
            told = "noise_level" in needs
            found = _evidence(model, restore, told, cases, condition, restored_BCHW, self._is_refined)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return [self._without(f"FAILED: {describe(error)}") for _ in cases]
        return [self._columns(case, each) for case, each in zip(cases, found, strict=True)]

    @property
    def _is_refined(self) -> bool:
        """Whether estimated levels are: not for calibrations of before they were."""
        return self.calibration is None or self.calibration.estimator == REFINED

    def _model(self, cases: Sequence[Case], condition: Condition) -> NoiseModel | None:
        if self.calibration is not None:
            return NoiseModel.from_record(self.calibration.noise)
        if condition.operators or condition.mask_B1HW is not None:
            return None
        models = {NoiseModel.of(case.degraded.parameters) for case in cases if case.degraded.parameters}
        return (models or {NoiseModel()}).pop() if len(models) <= 1 else None

    def _columns(self, case: Case, evidence: Evidence) -> dict[str, Any]:
        image = case.reference
        if evidence.samples == 0:
            return self._without("ALL_NODATA: not one pixel holds data")
        if evidence.noise_level == 0:
            return self._without("NOISE_LEVEL: no noise was found, and what has none is not estimated")
        if not case.degraded.parameters and (doubt := _doubt(case, evidence)):
            return self._without(doubt)
        ours = evidence if self.calibration is None else evidence.by(self.calibration.estimator)
        columns = {"psnr_estimate": ours.psnr, "psnr_evidence": evidence.to_json()}
        if self.calibration is None:
            return columns
        floor, reason = self.calibration.floor(evidence, image.size[2], image.domain.dtype)
        return columns | {"psnr_floor": floor, "psnr_reason": reason}

    @staticmethod
    def _without(reason: str) -> dict[str, Any]:
        return {"psnr_reason": reason}


def _doubt(case: Case, evidence: Evidence) -> str | None:
    """Why a level that somebody told of a found image cannot be its own."""
    if evidence.known != "given":
        return None
    own = LEVELS * float(estimate_noise_level(case.degraded.image_BCHW))
    least, most = evidence.noise_level / _FAR - _MARGIN, evidence.noise_level * _FAR + _MARGIN
    if least <= own <= most:
        return None
    return f"NOISE_LEVEL: {evidence.noise_level:.3g} was told, the image itself has about {own:.3g}"


def _evidence(
    model: NoiseModel,
    restore: Restore,
    told: bool,
    cases: Sequence[Case],
    condition: Condition,
    restored_BCHW: Tensor,
    is_refined: bool,
) -> list[Evidence]:
    noisy_BCHW = torch.cat([case.degraded.image_BCHW for case in cases])
    level_B, known = condition.noise_level_B, "given"
    if level_B is None:
        level_B, known = estimate_noise_level(noisy_BCHW), "estimated"
        if told:
            # What it found itself, so that it stays one function of the image.
            condition = replace(condition, noise_level_B=level_B)
    valid_B1HW = valid_mask(cases, noisy_BCHW.device)
    level_B = level_B.to(noisy_BCHW.device)
    is_blind = known == "estimated" and model.gain is None
    if is_blind:
        level_B = flat_noise_level(noisy_BCHW, restored_BCHW, level_B, valid_B1HW)
    is_refined = is_refined and is_blind
    direction_BCHW = torch.cat([_direction(case) for case in cases])
    moments = (
        None if is_refined else model.moments(noisy_BCHW, restored_BCHW, level_B, given=known == "given")
    )
    deviation_B = level_B if moments is None else moments.variance.mean(dim=(1, 2, 3)).sqrt()
    probe = probed(
        lambda moved_BCHW: restore(moved_BCHW, condition),
        noisy_BCHW,
        restored_BCHW,
        STEP * deviation_B.double().expand(len(cases))[:, None, None, None],
        direction_BCHW,
    )
    if moments is None:
        level_B = residual_noise_level(noisy_BCHW, restored_BCHW, probe, level_B, valid_B1HW)
        moments = model.moments(noisy_BCHW, restored_BCHW, level_B)
    maps = risk_by(
        probe,
        noisy_BCHW,
        restored_BCHW,
        moments.variance,
        square=moments.square,
        bias=moments.bias,
        truth=moments.truth,
    )
    if model.gain is not None:
        known, level_B = "sensor", None
    return _gathered(known, level_B, noisy_BCHW, valid_B1HW, maps, REFINED if is_refined else LOCAL)


def _gathered(
    known: str,
    level_B: Tensor | None,
    noisy_BCHW: Tensor,
    valid_B1HW: Tensor | None,
    maps: RiskMaps,
    estimator: int,
) -> list[Evidence]:
    risk = maps.mean(valid_B1HW)
    local = local_risk(maps, valid_B1HW, ESTIMATED if known == "estimated" else KNOWN)
    valid = torch.ones_like(noisy_BCHW[:, :1], dtype=torch.bool) if valid_B1HW is None else valid_B1HW
    pixels_B = valid.sum(dim=(1, 2, 3)).double()

    def mean(each_BCHW: Tensor) -> list[float]:
        total_B = torch.where(valid, each_BCHW.double(), 0.0).sum(dim=(1, 2, 3))
        found: list[float] = (total_B / (pixels_B * noisy_BCHW.shape[1])).tolist()
        return found

    if level_B is None:
        levels = [LEVELS * each**0.5 for each in mean(maps.variance_BCHW)]
    else:
        levels = (LEVELS * level_B.double().expand(len(noisy_BCHW))).tolist()
    ends = mean((noisy_BCHW == 0) | (noisy_BCHW == 1))
    samples = [int(pixels) * noisy_BCHW.shape[1] for pixels in pixels_B.tolist()]
    found = (levels, risk.excess_B.tolist(), risk.spread_B.tolist(), samples, mean(noisy_BCHW), ends)
    parts = (*found, local.error_B.tolist(), local.chance_B.tolist(), [estimator] * len(samples))
    return [Evidence(known, *each) for each in zip(*parts, strict=True)]


def _direction(case: Case) -> Tensor:
    """The perturbation of an image: its own, whatever the batch, the machine and the day."""
    source = case.loaded.source
    rng = torch.Generator().manual_seed(seed_of("risk", source.dataset, source.key))
    return torch.randn(case.degraded.image_BCHW.shape, generator=rng, dtype=torch.float64)
