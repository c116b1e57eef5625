"""What a run shows in Prefect's UI: the summary table, and a page with figures and addresses.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.outcome import counts_of
from flows.rankings import rankings_of, records
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.jobs.job import Job
    from pipeline.ledger.run_folder import RunFolder
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

MOST_ROWS = 200
"""An artifact is a row in Prefect's database: it holds a summary, the Parquet files hold the rest."""


def key(job: Job, what: str) -> str:
    """An artifact's key: one per job and kind, with its history; lower case, digits, dashes."""
    return f"{slug(job.name)}-{what}"


def slug(name: str) -> str:
    """Lower case, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def publish(run_folder: RunFolder, table: TableSummary, verification: Verification, report: str) -> None:
    """Creates the artifacts of the current run."""
    job = run_folder.job
    rows = records(rankings_of(run_folder))
    if rows:
        create_table_artifact(rows[:MOST_ROWS], key=key(job, "summary"), description=f"{job.name}: ranking")
    create_markdown_artifact(
        page(run_folder, table, verification, report),
        key=key(job, "run"),
        description=f"{job.name}: outcome",
    )


def page(run_folder: RunFolder, table: TableSummary, verification: Verification, report: str) -> str:
    """The markdown page."""
    from pipeline.results.tables import METRIC_TABLE, SUMMARY_TABLE

    whole = "whole" if verification.is_whole else f"**not whole**: {verification.problem_count} problems"
    problems = "".join(f"- {problem}\n" for problem in verification.problems)
    return (
        f"# {run_folder.job.name}\n\n"
        f"{number_of(table.images, 'image')}, {number_of(table.rows, 'row')}, "
        f"{number_of(table.images_quarantined, 'image')} quarantined ({table.quarantined_share:.1%}).\n\n"
        f"Verification: {whole}; {counts_of(verification)}.\n\n{problems}\n"
        "| what | where |\n| --- | --- |\n"
        f"| report | {_link(report)} |\n"
        f"| metric table | {_link(run_folder.folder.uri(METRIC_TABLE))} |\n"
        f"| summary table | {_link(run_folder.folder.uri(SUMMARY_TABLE))} |\n"
        f"| output | {_link(run_folder.job.output)} |\n"
    )


def _link(address: str) -> str:
    """A link where a browser can follow it, else the address to copy."""
    return f"[{address}]({address})" if address.startswith(("http://", "https://")) else f"`{address}`"
