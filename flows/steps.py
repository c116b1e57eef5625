"""The steps of a run as Prefect tasks. Tasks hand each other jobs and counts, never pixels.

What is done is known from the ledger alone, so nothing of Prefect's is cached or kept: a retried task and
a re-run flow find what is left and go on.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.states import Completed, Failed

from flows import events, pages
from flows.addresses import absolute
from flows.outcome import explained, too_many_quarantined
from flows.parameters import refuse_secrets
from flows.progress import at_intervals, line
from flows.retries import RETRIED
from pipeline import run
from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.run import Options, Progress
from pipeline.wording import number_of

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from pipeline.ledger.run_folder import RunFolder
    from pipeline.planning.plan import PlanSummary
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_UPDATES = 2.0


def all_of(job: Job, options: Options, kind: str) -> State[Any]:
    """Takes every step, or none where nothing is left to do; the state that the flow ends in.

    ``JobError`` where the job is of another kind than the flow.
    """
    if job.kind != kind:
        raise JobError(f'job.kind: the flow "{kind}" runs jobs of its own kind, got "{job.kind}"')
    refuse_secrets("job", job)
    job = absolute(job)
    with ExitStack() as stack:
        return _take_steps(open_run(job, options, stack), options)


def _take_steps(opened: RunFolder, options: Options) -> State[Any]:
    job = opened.job
    planned = plan(opened, options)
    if finished := run.finished(opened, planned):
        get_run_logger().info("nothing to do: %d of %d images are done", planned.done, planned.sources)
        return outcome(job, finished.table, finished.verification)
    execute(opened, options, planned)
    table = compact(opened)
    verification = verify(opened)
    report(opened, table, verification)
    return outcome(job, table, verification)


@task(**RETRIED)
def open_run(job: Job, options: Options, stack: ExitStack) -> RunFolder:
    """Checks the job and opens its folder, for all steps that follow, until the stack is closed."""
    return stack.enter_context(run.open_run(job, options))


@task(**RETRIED)
def plan(opened: RunFolder, options: Options) -> PlanSummary:
    """Lists the stores and subtracts what is done."""
    from pipeline.planning.no_images import described

    planned = run.plan(opened, options)
    get_run_logger().info(
        "%d sources, %d done already, %d to do in %d units; %d changed or deleted",
        *(planned.sources, planned.done, planned.left, planned.units, planned.removed),
    )
    if planned.left_out:
        get_run_logger().info("left out: %s", described(planned.left_out))
    for reason, count in planned.skipped.items():
        get_run_logger().warning("left out: %d %s", count, reason)
    return planned


@task(**RETRIED)
def execute(opened: RunFolder, options: Options, planned: PlanSummary) -> None:
    """Takes the units that are left through Ray; cancelling the flow stops the work there."""
    logger = get_run_logger()
    log = at_intervals(lambda progress: logger.info(line(progress)), SECONDS_BETWEEN_LINES)
    bar = _ProgressBar(opened.job, planned)

    def on_progress(progress: Progress) -> None:
        log(progress)
        bar(progress)

    if planned.done:
        logger.info("continuing where an earlier run stopped: %d images are done", planned.done)
    progress = run.execute(opened, options, planned, on_progress)
    for reason in explained(progress.reasons):
        logger.warning("quarantined: %s", reason.strip())


@task(**RETRIED)
def compact(opened: RunFolder) -> TableSummary:
    """Writes the tables from the ledger."""
    return run.compact(opened)


@task(**RETRIED)
def verify(opened: RunFolder) -> Verification:
    """Reads plan, ledger and objects, and compares."""
    verification = run.verify(opened)
    for problem in verification.problems:
        get_run_logger().error("%s", problem)
    return verification


@task(**RETRIED)
def report(opened: RunFolder, table: TableSummary, verification: Verification) -> str:
    """Writes the report page and the run's artifacts; returns the page's address."""
    address = run.report(opened)
    run.conclude(opened, table, verification, address)
    pages.publish(opened, table, verification, address)
    events.tell(opened.job, table, verification, address)
    return address


def outcome(job: Job, table: TableSummary, verification: Verification) -> State[Any]:
    """The flow's final state. Everything is written before it is decided."""
    if not verification.is_whole:
        problems = f"{verification.problem_count} problems: {verification.problems[0]}"
        return Failed(name="NotWhole", message=problems)
    if message := too_many_quarantined(job, table):
        # Failed, because nobody hears of a run that completed; all results are in place.
        return Failed(name="TooManyQuarantined", message=message)
    return Completed(message=f"{number_of(table.images, 'image')}, {table.images_quarantined:,} quarantined")


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
