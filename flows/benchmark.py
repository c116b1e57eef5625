"""Degrade, restore and score: every image x degradation x restorer, ranked."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import steps
from flows.parameters import forget_secrets
from flows.run_names import of_job
from pipeline.jobs.job import Job
from pipeline.run import Options


@flow(name="benchmark", on_failure=[forget_secrets], flow_run_name=of_job, log_prints=False)
def benchmark(job: Job, options: Options = Options()) -> State[Any]:  # noqa: B008 - frozen, and shown in the UI
    """Degrades, restores and scores an archive; running it again does what is left."""
    return steps.all_of(job, options, "benchmark")
