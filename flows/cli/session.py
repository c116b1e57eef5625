"""One run from the command line: plan -> execute -> compact -> verify -> report, and what to say of it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from flows.addresses import absolute
from flows.cli.console import OUT, complain, say
from flows.cli.live_progress import live_progress
from flows.cli.ranking_table import ranking_table
from flows.cli.without_collections import without_collections
from flows.outcome import counts_of, explained, too_many_quarantined
from flows.progress import OnProgress
from flows.rankings import rankings_of
from flows.trust_findings import trust_findings
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.jobs.job import Job
    from pipeline.ledger.run_folder import RunFolder
    from pipeline.planning.plan import PlanSummary
    from pipeline.results.finished import Finished
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification
    from pipeline.run import Options, Progress

DONE, FAILED, WRONG, QUARANTINED = 0, 1, 2, 3
"""Exit codes: done; anything unexpected; the job or command line is wrong; too many images quarantined."""


def run_job(job: Job, options: Options) -> int:
    """Takes the job as far as it goes, and says how it went; returns the exit code.

    Raises what ``pipeline.run`` raises.
    """
    with without_collections():
        from pipeline import run
        from pipeline.pandas_later import put_off_pandas

    put_off_pandas()
    job = absolute(job)
    with ExitStack() as stack:
        with OUT.status("planning"):
            with without_collections():
                opened = stack.enter_context(run.open_run(job, options))
            planned = run.plan(opened, options)
        return _take_steps(opened, options, planned)


def _take_steps(opened: RunFolder, options: Options, planned: PlanSummary) -> int:
    from pipeline import run

    job = opened.job
    if finished := run.finished(opened, planned):
        say(_nothing_to_do(planned, finished, options))
        return verdict(job, finished.table, finished.verification)
    _announce(planned)
    with live_progress(planned) as on_progress:
        progress = run.execute(opened, options, planned, _preparing(on_progress))
    for reason in explained(progress.reasons, progress.examples):
        say(f"  quarantined  {reason}", style="yellow")
    with OUT.status("writing tables, verification and report"):
        table, verification, address = run.compact(opened), run.verify(opened), run.report(opened)
    run.conclude(opened, table, verification, address)
    _summarise(opened, table, verification, address, progress.seconds)
    return verdict(job, table, verification)


def _preparing(on_progress: OnProgress) -> OnProgress:
    """The same; from the first unit on, what the end of a run takes is imported beside the work.

    Statistics, drawings and the page cost two seconds of start-up, which nobody then waits for.
    """

    def prepare() -> None:
        with suppress(Exception):  # whoever needs it says what is wrong with it
            import_module("pipeline.report.write")
            import_module("matplotlib.figure")

    waiting = [threading.Thread(target=prepare, name="imports", daemon=True)]

    def noted(progress: Progress) -> None:
        if waiting:
            waiting.pop().start()
        on_progress(progress)

    return noted


def verdict(job: Job, table: TableSummary, verification: Verification) -> int:
    """The exit code of a run that came to its end; complains where it is not 0."""
    if not verification.is_whole:
        complain_of(verification)
        return FAILED
    if message := too_many_quarantined(job, table):
        complain(message, style="bold yellow")
        return QUARANTINED
    return DONE


def complain_of(verification: Verification) -> None:
    """The first problems of a run that is not whole."""
    count = verification.problem_count
    complain(f"not whole: {number_of(count, 'problem')}", style="bold red")
    for problem in verification.problems:
        complain(f"  {problem}")


def show_ranking(run_folder: RunFolder) -> None:
    """Prints the ranking of every dataset and degradation; says so where there are no scores."""
    from pipeline.results.tables import METRIC_TABLE

    rankings = rankings_of(run_folder)
    for ranking in rankings:
        OUT.print(ranking_table(ranking, OUT))
    if not rankings:
        table = run_folder.folder.uri(METRIC_TABLE)
        say(f"this {run_folder.job.kind} run has no scores; its rows are in {table}")


def _announce(planned: PlanSummary) -> None:
    from pipeline.planning.no_images import described

    if planned.left_out:
        say(f"left out: {described(planned.left_out)}")
    for reason, count in planned.skipped.items():
        say(f"left out: {count:,} {reason}")
    if planned.done and planned.left:
        say(f"continuing: {planned.done:,} of {planned.sources:,} images are done already")
    if planned.removed:
        images = number_of(planned.removed, "image")
        say(f"{images} changed or deleted since; their old rows leave the tables")


def _nothing_to_do(planned: PlanSummary, finished: Finished, options: Options) -> str:
    bad = finished.table.images_quarantined
    if options.retry:
        return f"nothing to retry: none of {planned.sources:,} images is quarantined"
    suffix = f", {bad:,} of them quarantined" if bad else ""
    return f"nothing to do: {planned.done:,} of {planned.sources:,} images are done{suffix}"


def _summarise(
    run_folder: RunFolder, table: TableSummary, verification: Verification, report: str, seconds: float
) -> None:
    from pipeline.results.tables import METRIC_TABLE, SUMMARY_TABLE

    job = run_folder.job
    images, rows = number_of(table.images, "image"), number_of(table.rows, "row")
    say(f"{job.name}: {images}, {rows}, {seconds:.1f} s", style="bold")
    say(f"verified: {counts_of(verification)}")
    if job.kind == "benchmark":
        OUT.print()
        show_ranking(run_folder)
    else:
        for line in trust_findings(run_folder):
            say(line)
        say(f"images   {job.output}")
    say(f"tables   {run_folder.folder.uri(METRIC_TABLE)} and {SUMMARY_TABLE.rpartition('/')[2]}")
    say(f"report   {report}")
