"""A run, step by step: plan -> execute -> compact -> verify -> report.

The command line and the Prefect flows call the same five functions. Every step finds in the books what
the one before it left, so each can be repeated, and a run goes on where it stopped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pipeline.engines.base import Engine, UnitReport
from pipeline.engines.local import LocalEngine
from pipeline.errors import JobError, RunStopped
from pipeline.jobs.job import Job, Quarantine
from pipeline.ledger.run_record import RunRecord

if TYPE_CHECKING:
    from pipeline.planning.plan import PlanSummary
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what: never changes a result."""

    engine: Literal["ray", "local"] = "ray"
    ray_address: str | None = None
    workers: int | None = None
    limit: int | None = None
    """Only the first so many sources of the listing."""
    retry: bool = False
    """Only what was quarantined."""


@dataclass
class Progress:
    """How far execution is."""

    images_total: int
    units_total: int
    images: int = 0
    units: int = 0
    quarantined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
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


def plan(job: Job, options: Options) -> PlanSummary:
    """Checks the job, lists its stores, writes what is left to do.

    Where the output is new, so that there will be work, the engine comes up meanwhile.
    """
    from pipeline.ledger import run_folder as books
    from pipeline.ledger.run_folder import books_of
    from pipeline.planning.plan import make_plan
    from pipeline.planning.plan_files import UNITS

    running = engine(options)
    if not books_of(job).exists(UNITS):
        running.start()
    try:
        opened = books.open_for(job)
        return make_plan(
            opened.job,
            opened.folder,
            opened.recipe_id,
            opened.ledger.committed(),
            workers=options.workers or job.resources.workers or 2,
            limit=options.limit,
            retry=options.retry,
        )
    except BaseException:
        running.stop()  # there will be nothing to execute
        raise


def execute(
    job: Job, options: Options, planned: PlanSummary, on_progress: Callable[[Progress], None] = lambda _: None
) -> Progress:
    """Takes the planned units through the engine. Raises ``RunStopped`` where too many images fail."""
    from pipeline.ledger.run_folder import books_of
    from pipeline.privacy.datasets import sealed

    progress = Progress(images_total=planned.left, units_total=planned.units)
    if planned.units == 0:
        return progress
    started_at = RunRecord.begin(books_of(job), datetime.now(UTC).isoformat(timespec="seconds"))
    running = engine(options)
    try:
        for report in running(sealed(job), books_of(job)):
            progress.add(report)
            on_progress(progress)
            _stop_if_hopeless(progress, job.quarantine)
    finally:
        running.stop()
    if progress.units < planned.units:
        missing = planned.units - progress.units
        raise RunStopped(f"{missing} of {planned.units} units did not commit; run the same command again")
    RunRecord(
        engine=options.engine,
        started_at=started_at,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=progress.seconds,
        images=progress.images,
    ).write(books_of(job))
    return progress


def compact(job: Job) -> TableSummary:
    """Writes the tables from the ledger."""
    from pipeline.ledger import run_folder as books
    from pipeline.results import tables

    return tables.compact(books.open_for(job))


def verify(job: Job) -> Verification:
    """Proves the run, or says what is wrong with it; reads back the objects that the last run made."""
    from pipeline.ledger import run_folder as books
    from pipeline.results.verify import verify as verify_books

    opened = books.open_for(job)
    record = RunRecord.read(opened.folder)
    return verify_books(opened, since=datetime.fromisoformat(record.started_at) if record else None)


def report(job: Job) -> str:
    """Writes ``report/index.html``; returns its address."""
    from pipeline.ledger import run_folder as books
    from pipeline.report.write import write_report

    return write_report(books.open_for(job))


def engine(options: Options) -> Engine:
    """The engine that the options name."""
    if options.engine == "local":
        if options.workers not in (None, 1):
            raise JobError(f"--workers {options.workers}: the local engine has one worker; use --engine ray")
        return LocalEngine()
    from pipeline.engines.ray_data import RayEngine

    return RayEngine(options.ray_address, options.workers)


def _stop_if_hopeless(progress: Progress, limits: Quarantine) -> None:
    if progress.images >= limits.stop_after and progress.quarantined_share > limits.stop_share:
        commonest = ", ".join(f"{reason} {count}" for reason, count in progress.reasons.most_common(3))
        raise RunStopped(
            f"stopped: {progress.quarantined} of the first {progress.images} images were quarantined "
            f"({commonest}); look into the cause (credentials, format, job), then restora retry. "
            "quarantine.stop_share in the job sets this limit"
        )
