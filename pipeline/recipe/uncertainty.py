"""What a job says of intervals and flags, checked: which restorers can have them, by which calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.names import unknown
from models.restorer import Restorer
from models.uncertainties import UNCERTAINTIES
from pipeline.doors import FOLDER, outlet_name
from pipeline.errors import JobError
from pipeline.jobs.job import Job, RestorerSpec
from pipeline.trust.calibration import Calibration


def check_uncertainty(job: Job, restorers: Sequence[Restorer], calibration: Calibration | None) -> None:
    """``JobError`` by path, with the cure. ``restorers`` are those of the job, in its order."""
    for index, (spec, restorer) in enumerate(zip(job.restorers, restorers, strict=True)):
        if spec.uncertainty is None:
            continue
        where = f"restorers[{index}].uncertainty"
        if spec.uncertainty not in UNCERTAINTIES:
            raise JobError(f"{where}: {unknown('uncertainty', spec.uncertainty, UNCERTAINTIES)}")
        try:
            UNCERTAINTIES[spec.uncertainty].subject(restorer)
        except ValueError as error:
            raise JobError(f"restorers[{index}].{error}") from None
        if job.kind == "restore":
            _check_calibration(where, spec, calibration)
    if job.save_uncertainty and (name := outlet_name(job)) != FOLDER.name:
        raise JobError(
            f'save_uncertainty: is for the output store "folder", and this job writes "{name}"; leave it '
            'out, or write output_store = "folder"'
        )
    if job.flags and job.kind == "restore" and (calibration is None or calibration.flags is None):
        has = "none is given" if calibration is None else "this one was made without"
        raise JobError(
            f"flags: need a calibration with them, and {has}; benchmark the restorer with flags = true, then "
            "restora calibrate"
        )
    if calibration is not None and not calibration.has_floors and not (job.has_uncertainty or job.flags):
        has = " and ".join(name for name in ("intervals", "flags") if getattr(calibration, name) is not None)
        raise JobError(
            f"calibration: it has {has} and no floors; give the restorer its uncertainty, or "
            "write flags = true"
        )


def uncertainty_identity(spec: RestorerSpec) -> dict[str, Any]:
    """What a recipe says of it; nothing where there is none."""
    if spec.uncertainty is None:
        return {}
    return {"uncertainty": [spec.uncertainty, UNCERTAINTIES[spec.uncertainty].version]}


def _check_calibration(where: str, spec: RestorerSpec, calibration: Calibration | None) -> None:
    if calibration is None or calibration.intervals is None:
        has = "none is given" if calibration is None else "this one was made without"
        raise JobError(
            f"{where}: intervals need a calibration with them, and {has}; benchmark the restorer with "
            f'uncertainty = "{spec.uncertainty}", then restora calibrate'
        )
    if calibration.intervals.method != spec.uncertainty:
        raise JobError(
            f'{where}: the calibration is of "{calibration.intervals.method}", not "{spec.uncertainty}"; use '
            "that one, or calibrate again"
        )
