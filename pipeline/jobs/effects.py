"""Fields of a job that would change nothing: who gives one believes otherwise. By names, for the job checks
itself by this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PSNR_NEEDED = 30.0
_GUIDED = ("qnr", "hqnr")
"""Metrics that compare with a guide; where images are degraded, the degradation may make it."""


def refuse_without_effect(job: Any) -> None:
    """``ValueError`` of the first field that was given another value than its default, for nothing."""
    for fault in _without_effect(job):
        raise ValueError(fault)


def _without_effect(job: Any) -> Iterator[str]:
    if job.kind != "benchmark" and job.save != "none":
        yield f"save: a {job.kind} run keeps its result, and nothing else; leave it out"
    if job.kind == "benchmark" and job.overwrite:
        yield "overwrite: is for restore and degrade runs; a benchmark has a folder of its own; leave it out"
    has_floors = job.psnr_estimate or job.calibration not in (None, "none")
    if job.psnr_needed != PSNR_NEEDED and not has_floors:
        yield "psnr_needed: is compared with floors; give calibration or psnr_estimate too, or leave it out"
    if job.restorers and not job.degradations and not any(each.guide for each in job.datasets):
        for index, name in enumerate(job.metrics):
            if name in _GUIDED:
                yield (
                    f'metrics[{index}]: "{name}" is empty without a guide; give datasets[].guide (--guide), '
                    "or leave it out"
                )
