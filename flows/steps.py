"""The steps of a run as Prefect tasks. Tasks hand each other jobs and counts, never pixels.

What is done is known from the ledger alone, so nothing of Prefect's is cached or kept: a retried task and
a re-run flow find what is left and go on.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows import pages
from flows.addresses import absolute
from flows.progress import at_intervals, line
from pipeline import run
from pipeline.errors import REASONS, JobError, RunStopped
from pipeline.jobs.job import Job
from pipeline.run import Options, Progress

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun

    from pipeline.planning.plan import PlanSummary
    from pipeline.results.finished import Finished
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_UPDATES = 2.0


def _may_pass(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: not for a wrong job, nor for a run that stopped on purpose."""
    return not isinstance(state.data, JobError | RunStopped)


_RETRIED: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 60, 300],
    "retry_condition_fn": _may_pass,
    "cache_policy": NO_CACHE,
}


def all_of(job: Job, options: Options, kind: str) -> State[Any]:
    """Takes every step, or none where nothing is left to do; the state that the flow ends in.

    ``JobError`` where the job is of another kind than the flow.
    """
    if job.kind != kind:
        raise JobError(f'job.kind: the flow "{kind}" runs jobs of its own kind, got "{job.kind}"')
    job = absolute(job)
    planned = plan(job, options)
    if finished := settled(job, planned):
        return outcome(job, finished.table, finished.verification)
    execute(job, options, planned)
    table = compact(job)
    verification = verify(job)
    report(job, table, verification)
    return outcome(job, table, verification)


@task(**_RETRIED)
def plan(job: Job, options: Options) -> PlanSummary:
    """Lists the stores and subtracts what is done."""
    planned = run.plan(job, options)
    get_run_logger().info(
        "%d sources, %d done before, %d to do in %d units; %d changed or went away",
        *(planned.sources, planned.done, planned.left, planned.units, planned.removed),
    )
    return planned


@task(**_RETRIED)
def execute(job: Job, options: Options, planned: PlanSummary) -> None:
    """Takes the units that are left through Ray; cancelling the flow stops the work there."""
    logger = get_run_logger()
    log = at_intervals(lambda progress: logger.info(line(progress)), SECONDS_BETWEEN_LINES)
    bar = _ProgressBar(job, planned)

    def on_progress(progress: Progress) -> None:
        log(progress)
        bar(progress)

    if planned.done:
        logger.info("going on where an earlier run stopped: %d images are done", planned.done)
    progress = run.execute(job, options, planned, on_progress)
    _explain(progress.reasons)


@task(**_RETRIED)
def compact(job: Job) -> TableSummary:
    """Writes the tables from the ledger."""
    return run.compact(job)


@task(**_RETRIED)
def verify(job: Job) -> Verification:
    """Reads plan, ledger and objects, and compares."""
    verification = run.verify(job)
    for problem in verification.problems:
        get_run_logger().error("%s", problem)
    return verification


@task(**_RETRIED)
def report(job: Job, table: TableSummary, verification: Verification) -> str:
    """Writes the report page and the run's artifacts; returns the page's address."""
    from flows.cli.session import finish

    address = run.report(job)
    finish(job, table, verification, address)
    pages.publish(job, table, verification, address)
    return address


def settled(job: Job, planned: PlanSummary) -> Finished | None:
    """The outcome of the run before, where nothing is left to do and nothing has changed since."""
    from flows.cli.session import settled as settled_run

    finished = settled_run(job, planned)
    if finished is not None:
        get_run_logger().info("nothing to do: %d of %d images are done", planned.done, planned.sources)
    return finished


def outcome(job: Job, table: TableSummary, verification: Verification) -> State[Any]:
    """The flow's final state. Everything is written before it is decided."""
    if not verification.is_whole:
        problems = f"{verification.problem_count} problems: {verification.problems[0]}"
        return Failed(name="NotWhole", message=problems)
    if table.quarantined_share > job.quarantine.threshold:
        # Failed, because nobody is told of a run that completed; all results are in place.
        return Failed(
            name="TooManyQuarantined",
            message=f"{table.images_quarantined} of {table.images} images are quarantined, more than "
            f"quarantine.threshold = {job.quarantine.threshold}; all others are done. "
            f"When the cause is gone: restora retry {job.output}",
        )
    return Completed(message=f"{table.images} images, {table.images_quarantined} of them quarantined")


class _ProgressBar:
    """The progress artifact. Trouble with it must not stop the work that it shows."""

    def __init__(self, job: Job, planned: PlanSummary) -> None:
        self._planned = planned
        self._shown_at = 0.0
        created = create_progress_artifact(
            self._share(planned.done), key=pages.key(job, "progress"), description=f"{job.name}: images done"
        )
        assert isinstance(created, UUID)
        self._id = created

    def __call__(self, progress: Progress) -> None:
        is_last = progress.units == progress.units_total
        if not is_last and time.monotonic() - self._shown_at < SECONDS_BETWEEN_UPDATES:
            return
        self._shown_at = time.monotonic()
        done = self._planned.sources - self._planned.left + progress.images
        try:
            update_progress_artifact(self._id, self._share(done), description=line(progress))
        except Exception as error:  # the server may be restarting; the next update will do
            get_run_logger().warning("progress is not shown: %s", error)

    def _share(self, done: int) -> float:
        return min(100.0, 100.0 * done / max(1, self._planned.sources))


def _explain(reasons: Counter[str]) -> None:
    for reason, count in reasons.most_common():
        get_run_logger().warning("quarantined: %d x %s: %s", count, reason, REASONS.get(reason, ""))
