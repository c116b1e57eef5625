"""The calibration of a restore run: the job's, or the one that lies beside the weights."""

from __future__ import annotations

from pipeline.addresses import redacted
from pipeline.errors import JobError, describe
from pipeline.jobs.job import WEIGHTS, Job, RestorerSpec
from pipeline.recipe.weights import fetch
from pipeline.trust.calibration import ENDING, Calibration


def calibration_of(job: Job, sha256: str) -> Calibration | None:
    """What holds for the restorer with this digest; ``None`` where the job has none.

    ``JobError`` where the file cannot be had, was changed, or is of another restorer or precision.
    """
    if (
        job.kind != "restore"
        or not (job.estimates_psnr or job.has_uncertainty or job.flags)
        or job.calibration == "none"
    ):
        return None
    (spec,) = job.restorers
    beside = job.calibration is None
    url = _beside(spec) if job.calibration is None else job.calibration
    if url is None:
        return None
    try:
        found = Calibration.from_json(fetch(url))
    except FileNotFoundError:
        if beside:
            return None
        raise JobError(f"calibration: {redacted(url)}: no such file; check the address") from None
    except ValueError as error:
        raise JobError(f"calibration: {redacted(url)}: {error}") from None
    except Exception as error:  # botocore and aiohttp do not derive from OSError
        raise JobError(f"calibration: {redacted(url)}: cannot be read: {redacted(describe(error))}") from None
    if (found.restorer_sha256, found.precision) != (sha256, spec.precision):
        raise JobError(
            f'calibration: {redacted(url)} is of "{found.restorer}" ({found.restorer_sha256[:12]}, '
            f'{found.precision}), the job restores with "{spec.name}" ({sha256[:12]}, {spec.precision}); '
            'calibrate this one with restora calibrate, or write calibration = "none"'
        )
    return found


def _beside(spec: RestorerSpec) -> str | None:
    for ending in WEIGHTS:
        if spec.weights is not None and spec.weights.endswith(ending):
            return spec.weights.removesuffix(ending) + ENDING
    return None
