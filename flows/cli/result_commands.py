"""Commands that look at a run that was made before: verify, table and report."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import Output, Profile

if TYPE_CHECKING:  # what starts with every command has no tables
    from pipeline.results.object_check import Spread


class LakeName(StrEnum):
    """What a metric table can be handed over as."""

    PARQUET = "parquet"
    DELTA = "delta"
    ICEBERG = "iceberg"


To = Annotated[
    LakeName | None,
    typer.Option(
        "--to",
        help="Hand the table over: as a folder of Parquet files, or as a table of Delta Lake or Iceberg.",
    ),
]
Into = Annotated[
    str | None,
    typer.Option("--into", metavar="DEST", help="Where it goes. Without it: lake/ in the folder of the run."),
]
Catalog = Annotated[
    str | None,
    typer.Option(
        "--catalog",
        metavar="NAME",
        help="A catalogue in pyiceberg's configuration. Without it: a file of SQLite beside the table.",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        min=1,
        metavar="N",
        help="Read back the files of N rows only, drawn at random, others each time. Where none of 10,000 is "
        "damaged, fewer than 3 in 10,000 are, with 95 % confidence. Rows are all checked in any case.",
    ),
]
OnCluster = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="A running Ray cluster, whose machines look at the files. Without it: RAY_ADDRESS if it is set, "
        "else this machine does. They need the credentials of the store, or the disk.",
    ),
]
ReadBack = Annotated[
    bool,
    typer.Option(
        "--read-back",
        help="Read every file, also where the store keeps the checksum that came with it (S3 does), which "
        "is otherwise asked for instead.",
    ),
]


def verify(
    out: Output,
    profile: Profile = None,
    sample: Sample = None,
    read_back: ReadBack = False,
    ray_address: OnCluster = None,
) -> None:
    """Prove that a run is whole: every source has rows exactly once, every stored file has its hash.

    Looks at all stored files, or those of a sample; with --ray-address, or where RAY_ADDRESS is set, on all
    machines of that cluster. The exit code is 1 where something is missing, doubled or damaged.
    """
    from flows.addresses import open_output
    from flows.cli.console import say
    from flows.cli.session import FAILED, complain_of
    from flows.outcome import counts_of
    from pipeline.results.verify import verify as verify_run

    run_folder, spread = open_output(out, profile), _spread(ray_address or os.environ.get("RAY_ADDRESS"))
    verification = verify_run(run_folder, sample=sample, reads=read_back, spread=spread)
    say(counts_of(verification))
    if not verification.is_whole:
        complain_of(verification)
        raise typer.Exit(FAILED)
    if sample is None:
        say("whole: every source once, every stored file with its hash")
    else:
        say(f"whole: every source once, {verification.objects:,} files, drawn at random, with their hash")


def _spread(ray_address: str | None) -> Spread:
    if ray_address is None:
        return map
    from pipeline.engines.ray_spread import RaySpread

    return RaySpread(ray_address)


def table(
    out: Output, profile: Profile = None, to: To = None, into: Into = None, catalog: Catalog = None
) -> None:
    """Print the ranking of the restorers by the first metric of the job, from the run's tables.

    With --to, hand the metric table over to a lake instead. Done again, only what changed since is written.
    """
    from flows.addresses import open_output
    from flows.cli.console import say
    from flows.cli.session import show_ranking
    from pipeline.errors import JobError
    from pipeline.results.tables import has_metrics

    run_folder = open_output(out, profile)
    if not has_metrics(run_folder.folder):
        raise JobError(
            f"{out}: this run was stopped before it wrote its tables; the same command finishes it, "
            f"restora report {out} writes them for the images that are done"
        )
    if to is None:
        if into is not None or catalog is not None:
            raise JobError("--into and --catalog say where a table goes; say with --to what it is to be")
        show_ranking(run_folder)
        return
    from pipeline.results.lake_export import export_table

    done = export_table(run_folder, to.value, into or run_folder.folder.uri(f"lake/{to.value}"), catalog)
    changed = (
        f"{done.rows:,} rows written, {done.gone} parts taken out" if done.new or done.gone else "as it was"
    )
    say(f"{done.place}: {changed}")


def report(
    out: Output,
    profile: Profile = None,
    explain: Annotated[
        int,
        typer.Option(
            "--explain",
            min=0,
            metavar="N",
            help="Of the N worst images, show what they were made of, as `restora explain` does: on a CPU "
            "half a minute each for every restorer.",
        ),
    ] = 0,
) -> None:
    """Write the tables and the report again from the ledger, and print the report's address.

    Works for a run that was stopped, too: the report then shows what is done.
    """
    from flows.addresses import open_output
    from flows.cli.console import say
    from pipeline.ledger.lease import held
    from pipeline.report.write import write_report
    from pipeline.results.tables import compact

    run_folder = open_output(out, profile)
    with held(run_folder.folder):
        compact(run_folder)
        say(write_report(run_folder, explained=explain))
