"""Degrade an archive: known damage, written down, for training and tests."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import steps
from pipeline.jobs import Job
from pipeline.run import Options


@flow(name="degrade", log_prints=False)
def degrade(job: Job, options: Options = Options()) -> State[Any]:  # noqa: B008 - frozen, and shown in the UI
    """Degrades an archive; running it again does what is left."""
    job = steps.accept(job, "degrade")
    planned = steps.plan(job, options)
    if finished := steps.settled(job, planned):
        return steps.outcome(job, finished.table, finished.verification)
    steps.execute(job, options, planned)
    table = steps.compact(job)
    verification = steps.verify(job)
    steps.report(job, table, verification)
    return steps.outcome(job, table, verification)
