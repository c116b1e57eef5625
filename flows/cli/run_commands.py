"""Commands that run a job: benchmark, restore, degrade, retry and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import (
    Destination,
    Engine,
    EngineName,
    Limit,
    Output,
    OutputFormat,
    Pattern,
    Private,
    Profile,
    RayAddress,
    Series,
    SeriesPolicy,
    Source,
    Workers,
    run_options,
)

RESTORE_METRICS = ("consistency", "consistency_worst_tile")


def benchmark(
    job: Annotated[Path, typer.Argument(metavar="JOB.toml", help="A job; see conf/ for some to start from.")],
    engine: Engine = EngineName.RAY,
    ray_address: RayAddress = None,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Run a job: degrade, restore and score every image, and rank the restorers.

    Running it again does only what is missing, so it is also how to go on after a stop.
    """
    from flows.cli.session import run_job
    from pipeline.jobs.job import Job

    options = run_options(engine, ray_address, workers, limit)
    raise typer.Exit(run_job(Job.from_toml(job), options))


def restore(
    source: Source,
    dest: Destination,
    restorer: Annotated[
        str,
        typer.Option(
            "--restorer", metavar="NAME_OR_URL", help="A name of `restora list restorers`, or weights."
        ),
    ],
    noise_level: Annotated[
        float | None,
        typer.Option("--noise-level", help="Known noise, in 1/255 of the range; else it is estimated."),
    ] = None,
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="NAME",
            help="A score that needs no reference; may be given again. Without it those that say how far "
            "the radiometry was moved; none for no scores.",
        ),
    ] = list(RESTORE_METRICS),  # noqa: B006 - typer copies it
    pattern: Pattern = "*",
    private: Private = None,
    series: Series = SeriesPolicy.STACK,
    output_format: OutputFormat = None,
    profile: Profile = None,
    engine: Engine = EngineName.RAY,
    ray_address: RayAddress = None,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Restore images as they are: each becomes DEST/<its key>; tables and report go to DEST/_restora."""
    from flows.addresses import dataset_of, profile_for, restorer_of
    from flows.cli.session import run_job
    from pipeline.jobs.job import Job

    job = Job.parse(
        {
            "name": "restore",
            "kind": "restore",
            "output": dest,
            "output_profile": profile_for(dest, profile),
            "datasets": [dataset_of(source, pattern, profile, private, series)],
            "restorers": [restorer_of(restorer, noise_level)],
            "metrics": [] if metric == ["none"] else metric,
            "output_format": output_format,
        },
        where="restore",
    )
    raise typer.Exit(run_job(job, run_options(engine, ray_address, workers, limit)))


def degrade(
    source: Source,
    dest: Destination,
    degradation: Annotated[
        str, typer.Option("--degradation", metavar="NAME", help="A preset of `restora list degradations`.")
    ],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other noise.")] = 0,
    pattern: Pattern = "*",
    private: Private = None,
    series: Series = SeriesPolicy.STACK,
    output_format: OutputFormat = None,
    profile: Profile = None,
    engine: Engine = EngineName.RAY,
    ray_address: RayAddress = None,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Degrade images: each becomes DEST/<its key>; what was drawn is in the table."""
    from flows.addresses import dataset_of, profile_for
    from flows.cli.session import run_job
    from pipeline.jobs.job import Job

    job = Job.parse(
        {
            "name": "degrade",
            "kind": "degrade",
            "output": dest,
            "output_profile": profile_for(dest, profile),
            "datasets": [dataset_of(source, pattern, profile, private, series)],
            "degradations": [degradation],
            "seed": seed,
            "output_format": output_format,
        },
        where="degrade",
    )
    raise typer.Exit(run_job(job, run_options(engine, ray_address, workers, limit)))


def retry(
    out: Output,
    profile: Profile = None,
    engine: Engine = EngineName.RAY,
    ray_address: RayAddress = None,
    workers: Workers = None,
) -> None:
    """Try the quarantined images of a run again, and only those."""
    from flows.addresses import open_output
    from flows.cli.session import run_job

    options = run_options(engine, ray_address, workers, None, retry=True)
    raise typer.Exit(run_job(open_output(out, profile).job, options))


def demo(
    dest: Annotated[Path, typer.Argument(metavar="[DEST]", help="A folder on this disk.")] = Path("out/demo"),
    engine: Engine = EngineName.RAY,
    ray_address: RayAddress = None,
    workers: Workers = None,
    limit: Limit = None,
) -> None:
    """Denoise six photographs with three restorers, in about a minute: what all of this is about."""
    from flows.cli.demo import demo_job
    from flows.cli.session import run_job

    job = demo_job(dest)
    raise typer.Exit(run_job(job, run_options(engine, ray_address, workers, limit)))
