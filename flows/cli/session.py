"""One run from the command line: plan -> execute -> compact -> verify -> report, and what to say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.addresses import absolute
from flows.cli.console import OUT, complain, say
from flows.cli.ranking import drawn, rankings_of
from flows.progress import shown

if TYPE_CHECKING:
    from collections import Counter

    from pipeline.jobs.job import Job
    from pipeline.ledger.run_folder import Books
    from pipeline.planning.plan import PlanSummary
    from pipeline.results.finished import Finished
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification
    from pipeline.run import Options

DONE, FAILED, WRONG, QUARANTINED = 0, 1, 2, 3
"""Exit codes: done; anything unexpected; the job or command line is wrong; too many images quarantined."""


def run_job(job: Job, options: Options) -> int:
    """Takes the job as far as it goes, and says how it went; returns the exit code.

    Raises what ``pipeline.run`` raises.
    """
    from pipeline import run

    job = absolute(job)
    with OUT.status("planning"):
        planned = run.plan(job, options)
    if (finished := settled(job, planned)) is not None:
        say(_nothing_to_do(planned, finished, options))
        return verdict(job, finished.table, finished.verification)
    _announce(planned)
    with shown(planned) as on_progress:
        progress = run.execute(job, options, planned, on_progress)
    explain(progress.reasons)
    with OUT.status("writing tables, verification and report"):
        table, verification, address = run.compact(job), run.verify(job), run.report(job)
    finish(job, table, verification, address)
    _conclude(job, table, verification, progress.seconds)
    return verdict(job, table, verification)


def books_of(job: Job) -> Books:
    """The books of a planned job, without building its restorers again."""
    from pipeline.ledger.run_folder import open_existing

    return replace(open_existing(job.output, job.output_profile), job=job)


def settled(job: Job, planned: PlanSummary) -> Finished | None:
    """The outcome of the run before, where nothing is left to do and nothing has changed since."""
    from pipeline.results.finished import Finished

    return Finished.read(books_of(job)) if planned.units == 0 else None


def finish(job: Job, table: TableSummary, verification: Verification, address: str) -> None:
    """Notes that tables and report are up to date, unless the run is not whole."""
    from pipeline.results.finished import Finished, state_of

    if verification.is_whole:
        opened = books_of(job)
        report = address.removeprefix(opened.folder.uri(""))
        Finished(state_of(opened), table, verification, report).write(opened)


def verdict(job: Job, table: TableSummary, verification: Verification) -> int:
    """The exit code of a run that came to its end; complains where it is not 0."""
    if not verification.is_whole:
        complain_of(verification)
        return FAILED
    if table.quarantined_share > job.quarantine.threshold:
        complain(
            f"{table.images_quarantined:,} of {table.images:,} images ({table.quarantined_share:.1%}) are "
            f"quarantined, more than the job's threshold of {job.quarantine.threshold:.1%}; the reasons are "
            f"in the report; when the cause is gone: restora retry {job.output}",
            style="bold yellow",
        )
        return QUARANTINED
    return DONE


def verified(verification: Verification) -> str:
    """What a verification found, in one line."""
    counts = f"{verification.ok:,} ok + {verification.quarantined:,} quarantined"
    return f"{verification.sources:,} sources = {counts}, {verification.objects:,} objects read back"


def complain_of(verification: Verification) -> None:
    """The first problems of a run that is not whole."""
    complain(f"not whole: {verification.problem_count} problems", style="bold red")
    for problem in verification.problems:
        complain(f"  {problem}")


def explain(reasons: Counter[str]) -> None:
    """What the quarantine reasons mean, the commonest first."""
    from pipeline.errors import REASONS

    for reason, count in reasons.most_common():
        say(f"  quarantined  {count:>7,} x {reason}: {REASONS.get(reason, '')}", style="yellow")


def show_ranking(books: Books) -> None:
    """Prints the ranking of every dataset and degradation; says so where there are no scores."""
    rankings = rankings_of(books)
    for ranking in rankings:
        OUT.print(drawn(ranking, OUT))
    if not rankings:
        say(
            f"a {books.job.kind} run has no scores; its rows are in {books.folder.url}/tables/metrics.parquet"
        )


def _announce(planned: PlanSummary) -> None:
    if planned.done and planned.left:
        say(f"going on: {planned.done:,} of {planned.sources:,} images were done before")
    if planned.removed:
        say(f"{planned.removed:,} images changed or went away since; their old rows leave the tables")


def _nothing_to_do(planned: PlanSummary, finished: Finished, options: Options) -> str:
    bad = finished.table.images_quarantined
    if options.retry:
        return f"nothing to retry: none of {planned.sources:,} images is quarantined"
    suffix = f", {bad:,} of them quarantined" if bad else ""
    return f"nothing to do: {planned.done:,} of {planned.sources:,} images are done{suffix}"


def _conclude(job: Job, table: TableSummary, verification: Verification, seconds: float) -> None:
    opened = books_of(job)
    say(f"{job.name}: {table.images:,} images, {table.rows:,} rows, {seconds:.1f} s", style="bold")
    say(f"verified: {verified(verification)}")
    if job.kind == "benchmark":
        OUT.print()
        show_ranking(opened)
    else:
        say(f"images   {job.output}")
    say(f"tables   {opened.folder.url}/tables/metrics.parquet and summary.parquet")
    say(f"report   {opened.folder.url}/report/index.html")
