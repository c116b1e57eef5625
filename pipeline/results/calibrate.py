"""From the tables of a benchmark to a calibration of one of its restorers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import JobError
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.calibrate_flags import calibrate_flags
from pipeline.results.calibrate_intervals import calibrate_intervals
from pipeline.results.conformal import fewest, lower_offset
from pipeline.results.evidence_rows import evidence_rows, image_numbers
from pipeline.results.tables import METRIC_TABLE
from pipeline.trust.calibration import Calibration, Seen, Stratum
from pipeline.trust.evidence import REFINED, Evidence
from pipeline.trust.noise import NoiseModel
from pipeline.trust.seen_inputs import seen_of
from pipeline.version import code_version
from pipeline.wording import number_of

_SPLITS = 200
_MOST_STRATA = 8
_STRATUM, _BLIND_STRATUM = 1.5, 2.0
"""A stratum has so many times the images that the level needs, so that its bound is not the worst image's.
Estimated levels are off much alike at all of them: more images to a stratum bound that closer."""
_SMALLEST_STRATUM = 13
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Rows:
    """What a benchmark knows of one restorer; one entry for each image x degradation."""

    image: NDArray[np.int64]
    evidence: Sequence[Evidence]
    margin: NDArray[np.float64]
    """(Truth - estimate) / standard error."""
    noise: NDArray[np.float64]

    @property
    def images(self) -> int:
        """Different ones."""
        return len(np.unique(self.image))

    def of(self, chosen: NDArray[np.bool_]) -> Rows:
        """Some of them."""
        kept = [each for each, wanted in zip(self.evidence, chosen, strict=True) if wanted]
        return Rows(self.image[chosen], kept, self.margin[chosen], self.noise[chosen])


def calibrate(run: RunFolder, restorer: str | None = None, level: float = 0.9) -> Calibration:
    """The calibration of a benchmark's restorer at a level in (0, 1): floors, intervals, or both.

    ``JobError`` with the cure where the run is no benchmark with either, has another restorer, noise that
    has no model, or fewer images than the level needs.
    """
    if not 0 < level < 1:
        raise JobError(f"level must be a number between 0 and 1, got {level:g}")
    _check(run)
    name = _restorer(run, restorer)
    spec = next(each for each in run.job.restorers if each.name == name)
    found = _floors(run, name, level) if run.job.psnr_estimate else _without_floors(run, name, level)
    if spec.uncertainty is not None:
        found = replace(found, intervals=calibrate_intervals(run, name, 1 - level))
    if run.job.flags:
        found = replace(found, flags=calibrate_flags(run, name))
    if not (found.has_floors or found.intervals or found.flags):
        raise JobError(f'"{name}" has no uncertainty in this benchmark, whose others have; say another')
    return found


def _floors(run: RunFolder, name: str, level: float) -> Calibration:
    noise = _noise(run)
    found = [each for each in evidence_rows(run, name, "psnr_evidence", "psnr") if _is_finite(each["psnr"])]
    rows = rows_of(found)
    if rows.images < fewest(level):
        raise JobError(
            f"{number_of(rows.images, 'image')} with an estimate cannot warrant a level of {level:g}; "
            f"benchmark {fewest(level)} or more, or lower the level"
        )
    if len(known := sorted({each.known for each in rows.evidence})) > 1:
        raise JobError(f"noise levels are {' and '.join(known)}; benchmark each by itself")
    reliability, slack = reliability_of(rows, level)
    return replace(
        _without_floors(run, name, level),
        noise=noise,
        images=rows.images,
        seen=_seen(found, rows.evidence),
        strata=strata_of(rows, level),
        reliability=reliability,
        slack=slack,
        estimator=rows.evidence[0].estimator,
    )


def _without_floors(run: RunFolder, name: str, level: float) -> Calibration:
    """What a calibration says of its benchmark, whatever it is of."""
    specification = next(each for each in run.specification["restorers"] if each["name"] == name)
    return Calibration(
        restorer=name,
        restorer_sha256=specification["sha256"],
        precision=specification["precision"],
        degradations=tuple(run.specification["degradations"]),
        noise={},
        level=level,
        images=0,
        seen=Seen("none", (), (), (0, 0), (0.0, 0.0), 0.0),
        strata=(),
        reliability=(),
        slack=-1.0,
        recipe_id=run.recipe_id,
        code_version=code_version(),
    )


def rows_of(records: Sequence[Mapping[str, Any]]) -> Rows:
    """Out of records with ``dataset``, ``key``, ``psnr`` and ``psnr_evidence``."""
    evidence = [Evidence.from_json(each["psnr_evidence"]) for each in records]
    estimator = min((each.estimator for each in evidence), default=REFINED)
    evidence = [each.by(estimator) for each in evidence]
    truth = np.array([each["psnr"] for each in records], float)
    estimate = np.array([each.psnr for each in evidence], float)
    scale = np.array([each.standard_error for each in evidence], float)
    noise = np.array([each.noise_level for each in evidence], float)
    return Rows(image_numbers(records), evidence, (truth - estimate) / scale, noise)


def strata_of(rows: Rows, level: float) -> tuple[Stratum, ...]:
    """Spans of noise levels, as many as have images enough, each with its quantile."""
    order = np.argsort(rows.noise, kind="stable")
    noise = rows.noise[order]
    cuts = _cuts(noise, _BLIND_STRATUM if rows.evidence[0].known == "estimated" else _STRATUM, level)
    parts = [order[first:last] for first, last in zip(cuts, [*cuts[1:], len(order)], strict=True)]
    parts = _merged(parts, rows.image, fewest(level))
    return tuple(
        Stratum(
            float(rows.noise[part].min()),
            float(rows.noise[part].max()),
            len(part),
            lower_offset(rows.margin[part].tolist(), [0.0] * len(part), level, rows.image[part]),
        )
        for part in parts
    )


def _cuts(noise: NDArray[np.float64], share: float, level: float) -> list[int]:
    """Where strata begin, in rising noise levels; equal ones stay together."""
    each_level: list[int] = np.searchsorted(noise, np.unique(noise)).tolist()
    if len(each_level) <= _MOST_STRATA:  # given levels, a few of them: no bound is to be of two
        return each_level
    size = max(int(share * fewest(level)), _SMALLEST_STRATUM)
    count = max(1, min(_MOST_STRATA, len(noise) // size))
    return sorted({int(np.searchsorted(noise, noise[len(noise) * i // count])) for i in range(count)})


def reliability_of(rows: Rows, level: float) -> tuple[tuple[tuple[float, float], ...], float]:
    """Level and coverage of held-out images, and the slack at ``level``, over random halves of the images.

    No pixels of an image are on both sides. The slack is NaN where a half is too small for the level.
    """
    rng = np.random.default_rng(0)
    covered: dict[float, list[float]] = {each: [] for each in sorted({*_LEVELS, level})}
    slack = []
    for _ in range(_SPLITS):
        half = rng.permutation(rows.images)[: rows.images // 2]
        inside = np.isin(rows.image, half)
        ours, others = rows.of(inside), rows.of(~inside)
        for each in covered:
            if ours.images < fewest(each) or not len(others.noise):
                continue
            quantile = _quantiles(strata_of(ours, each), others.noise)
            covered[each].append(float((others.margin >= quantile).mean()))
            if each == level:
                scale = np.array([one.standard_error for one in others.evidence])
                slack.append(float(((others.margin - quantile) * scale).mean()))
    points = tuple((each, float(np.mean(found))) for each, found in covered.items() if found)
    return points, float(np.mean(slack)) if slack else -1.0


def _quantiles(strata: Sequence[Stratum], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    lows = np.array([each.noise_low for each in strata])
    place = np.clip(np.searchsorted(lows, noise, side="right") - 1, 0, None)
    return np.array([each.quantile for each in strata])[place]


def _merged(parts: list[NDArray[np.int64]], image: NDArray[np.int64], least: int) -> list[NDArray[np.int64]]:
    """Parts of fewer different images go with the one before: rows of one image err alike."""
    merged: list[NDArray[np.int64]] = []
    for part in parts:
        if merged and min(len(np.unique(image[each])) for each in (part, merged[-1])) < least:
            merged[-1] = np.concatenate([merged[-1], part])
        else:
            merged.append(part)
    return merged


def _is_finite(psnr: float | None) -> bool:
    return psnr is not None and math.isfinite(psnr)


def _seen(records: Sequence[Mapping[str, Any]], evidence: Sequence[Evidence]) -> Seen:
    span = seen_of(records, evidence)
    del span["noise"]  # strata say it
    return Seen(known=evidence[0].known, **span)


def _check(run: RunFolder) -> None:
    if run.job.kind != "benchmark" or not (run.job.psnr_estimate or run.job.has_uncertainty or run.job.flags):
        raise JobError(
            f'{run.job.output}: is no benchmark with estimates; run one with psnr_estimate = true and "psnr" '
            'among its metrics, of a restorer with uncertainty = "self_ensemble", or with flags = true'
        )
    if not run.folder.exists(METRIC_TABLE):
        raise JobError(
            f"{run.job.output}: was stopped before it wrote its tables; the same command finishes it"
        )


def _restorer(run: RunFolder, wanted: str | None) -> str:
    names = [each.name for each in run.job.restorers]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        said = "say which" if wanted is None else f'"{wanted}" is none of them'
        raise JobError(f"the benchmark has the restorers {', '.join(names)}; {said}, with --restorer")
    return wanted


def _noise(run: RunFolder) -> dict[str, Any]:
    models = {NoiseModel.of(each["operators"]) for each in run.specification["degradations"] if _is_one(each)}
    found = models.pop() if len(models) == 1 else None
    if found is None or not all(map(_is_one, run.specification["degradations"])):
        raise JobError(
            "degradations: a calibration is of Gaussian noise, or of one sensor with a fixed gain and sigma, "
            "alone; benchmark those by themselves"
        )
    return found.record()


def _is_one(degradation: Mapping[str, Any]) -> bool:
    """Whether its one operator adds noise of one model: a sensor's numbers are no ranges."""
    if len(degradation["operators"]) != 1:
        return False
    (operator,) = degradation["operators"]
    return operator["op"] == "gaussian_noise" or not any(
        isinstance(operator.get(name), list) for name in ("gain", "sigma", "photons")
    )
