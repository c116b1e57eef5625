"""A run, step by step: open -> plan -> execute -> compact -> verify -> report -> conclude.

The command line and the Prefect flows call the same functions. Every step finds in the run's folder what
the one before it left, so each can be repeated, and a run goes on where it stopped.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pipeline.engines.auto import AutoEngine
from pipeline.engines.base import Engine, UnitReport
from pipeline.engines.local import LocalEngine
from pipeline.errors import JobError, RunStopped
from pipeline.jobs.job import Job, Quarantine
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.output_errors import output_errors, tells_of_disks
from pipeline.ledger.run_record import RunRecord

if TYPE_CHECKING:
    from pipeline.ledger.run_folder import RunFolder
    from pipeline.planning.plan import PlanSummary
    from pipeline.results.finished import Finished
    from pipeline.results.repair import Losses
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what: never changes a result."""

    engine: Literal["auto", "ray", "local"] = "auto"
    """``local``: this process. ``ray``: several workers. ``auto``: this process, and Ray where it pays."""
    ray_address: str | None = None
    workers: int | None = None
    limit: int | None = None
    """Only the first so many sources of the listing."""
    retry: bool = False
    """Only what was quarantined, and what is done but whose objects are gone."""
    repair: bool = False
    """Also what is done but whose objects are gone or damaged, and damaged files of the ledger."""


@dataclass
class Progress:
    """How far execution is."""

    images_total: int
    units_total: int
    images: int = 0
    units: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """By reason the key of the first image that was quarantined for it."""
    started: float = field(default_factory=time.monotonic)
    first_commit: float | None = None
    """Seconds from the start to the first committed unit."""
    first_images: int = 0
    """Images of that unit."""

    def add(self, report: UnitReport) -> None:
        """Counts a committed unit."""
        if self.first_commit is None:
            self.first_commit, self.first_images = self.seconds, report.images
        self.images += report.images
        self.units += 1
        self.quarantined += report.quarantined
        self.reasons.update(report.reasons)
        self.examples = report.examples | self.examples

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    @property
    def images_per_second(self) -> float:
        """After the first commit, so that start-up does not count; 0 before there is a rate."""
        running = self.seconds - (self.first_commit or 0.0)
        return (self.images - self.first_images) / running if self.units > 1 and running > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; ``None`` while there is none."""
        rate = self.images_per_second
        return (self.images_total - self.images) / rate if rate else None

    @property
    def quarantined_share(self) -> float:
        """Of the images done so far."""
        return self.quarantined / self.images if self.images else 0.0


@contextmanager
def open_run(job: Job, options: Options) -> Iterator[RunFolder]:
    """Checks the job and opens the folder of its run, once for all steps, and for this run alone.

    Where the output is new, so that there will be work, the engine comes up meanwhile. Raises
    ``RunStopped`` where another run works in this output.
    """
    from pipeline.ledger import run_folder
    from pipeline.ledger.lease import held
    from pipeline.planning.plan_files import UNITS

    with ExitStack() as stack:
        with _engine_stopped_on_failure(options) as running:
            if not run_folder.folder_for(job).exists(UNITS):
                running.start()
            run = run_folder.check_run(job)
            with output_errors(run.job, run.folder):
                run.lease = stack.enter_context(held(run.folder))
                run_folder.begin_run(run)
        yield run


@tells_of_disks
def plan(run: RunFolder, options: Options) -> PlanSummary:
    """Lists the job's stores and writes what is left to do."""
    from pipeline.ledger.identities import no_ids
    from pipeline.planning.plan import make_plan

    with _engine_stopped_on_failure(options):
        workers = options.workers or run.job.resources.workers or 2
        is_plain = not (options.retry or options.repair or options.limit)
        lost = no_ids() if is_plain else _losses(run, options).source_ids
        planned = make_plan(
            run,
            workers=workers,
            limit=options.limit,
            retry=options.retry,
            lost=lost,
            is_finished=lambda: is_plain and _is_finished(run),
        )
        if is_plain and run.outcome is None:
            _losses(run, options)  # says what is gone
        return planned


@tells_of_disks
def execute(
    run: RunFolder,
    options: Options,
    planned: PlanSummary,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Takes the planned units through the engine. Raises ``RunStopped`` where too many images fail."""
    progress = Progress(images_total=planned.left, units_total=planned.units)
    if planned.units == 0:
        RunRecord.complete(run.folder, run.ledger, engine(options).name)
        return progress
    started_at = RunRecord.begin(run.folder, _now())
    running = engine(options)
    # Closed after the engine has stopped: what was under way is given up, and never waited for.
    with closing(running(run)) as reports:
        try:
            for unit_report in reports:
                progress.add(unit_report)
                on_progress(progress)
                if run.lease is not None:
                    run.lease.check()
                _stop_if_hopeless(progress, run.job.quarantine)
        finally:
            running.stop()
    if progress.units < planned.units:
        missing = planned.units - progress.units
        raise RunStopped(f"{missing} of {planned.units} units did not commit; run the same command again")
    Attempts(run.folder).forget_all()
    record = RunRecord(running.name, started_at, _now(), progress.seconds, progress.images)
    record.write(run.folder)
    return progress


@tells_of_disks
def compact(run: RunFolder) -> TableSummary:
    """Writes the tables from the ledger."""
    from pipeline.results import tables

    return tables.compact(run)


def verify(run: RunFolder) -> Verification:
    """Proves the run, or says what is wrong with it; reads back the objects that the last run made."""
    from pipeline.results import verify

    record = RunRecord.read(run.folder)
    return verify.verify(run, since=datetime.fromisoformat(record.started_at) if record else None)


@tells_of_disks
def report(run: RunFolder) -> str:
    """Writes ``report/index.html``; returns its address."""
    from pipeline.report.write import write_report

    return write_report(run)


@tells_of_disks
def conclude(run: RunFolder, table: TableSummary, verification: Verification, report: str) -> None:
    """Notes that tables and report are up to date, unless the run is not whole. ``report`` is its address."""
    from pipeline.results.finished import Finished, state_of

    if verification.is_whole:
        key = report.removeprefix(run.folder.uri(""))
        Finished(state_of(run), table, verification, key).write(run)


def finished(run: RunFolder, planned: PlanSummary) -> Finished | None:
    """The outcome of the run before, where nothing is left to do and nothing has changed since."""
    from pipeline.results.finished import Finished

    if planned.units:
        return None
    return run.outcome if isinstance(run.outcome, Finished) else Finished.read(run)


def _is_finished(run: RunFolder) -> bool:
    from pipeline.results.finished import Finished

    run.outcome = Finished.read(run)
    return run.outcome is not None


def engine(options: Options) -> Engine:
    """The engine that the options name."""
    if options.engine == "local":
        if options.workers not in (None, 1):
            raise JobError(f"--workers {options.workers}: the local engine has one worker; use --engine ray")
        return LocalEngine()
    if options.engine == "auto":
        return AutoEngine(options.ray_address, options.workers)
    from pipeline.engines.ray_data import RayEngine

    return RayEngine(options.ray_address, options.workers)


def _losses(run: RunFolder, options: Options) -> Losses:
    """What is gone of a run that is retried or repaired; says so."""
    from pipeline.planning.plan_files import is_planned
    from pipeline.results.repair import Losses, find_losses

    in_ledger = _mended(run) if options.repair else run.ledger.lost()
    wanted = (options.retry or options.repair) and is_planned(run.folder)
    losses = find_losses(run, read_back=options.repair) if wanted else Losses()
    for line in (*in_ledger, *losses.objects, *losses.descriptions):
        LOG.warning("to be made again: %s", line)
    if losses.descriptions:
        from pipeline.results.finished import Finished

        Finished.forget(run)
    return losses


def _mended(run: RunFolder) -> list[str]:
    from pipeline.ledger.mending import mend

    return mend(run.ledger, run.lease.check if run.lease is not None else lambda: None)


@contextmanager
def _engine_stopped_on_failure(options: Options) -> Iterator[Engine]:
    """The engine; stopped where there will be nothing to execute."""
    running = engine(options)
    try:
        yield running
    except BaseException:
        running.stop()
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _stop_if_hopeless(progress: Progress, limits: Quarantine) -> None:
    if progress.images >= limits.stop_after and progress.quarantined_share > limits.stop_share:
        commonest = ", ".join(f"{reason} {count}" for reason, count in progress.reasons.most_common(3))
        raise RunStopped(
            f"stopped: {progress.quarantined} of the first {progress.images} images were quarantined "
            f"({commonest}); look into the cause (credentials, format, job), then restora retry. "
            "quarantine.stop_share in the job sets this limit"
        )
