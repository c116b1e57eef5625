"""Commands that run a job: init, benchmark, restore, degrade, retry and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.arguments import Collection, Destination, Limit, Output, Profile, Running, Source
from flows.cli.option_groups import spread
from flows.cli.restore_options import Frames, Known, Trust

RESTORE_METRICS = ("consistency", "consistency_worst_tile")


@spread
def benchmark(
    job: Annotated[Path, typer.Argument(metavar="JOB.toml", help="A job: what to run on what.")],
    running: Running = Running(),  # noqa: B008 - frozen
    limit: Limit = None,
) -> None:
    """Run a job: degrade, restore and score every image, and rank the restorers.

    Running it again does only what is missing, so it is also how to go on after a stop.
    """
    from flows.cli.session import run_job
    from pipeline.jobs.job import Job

    raise typer.Exit(run_job(Job.from_toml(job), running.options(limit=limit)))


def init(
    job: Annotated[Path, typer.Argument(metavar="[JOB.toml]", help="The file to write.")] = Path("job.toml"),
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="benchmark, restore or degrade.")
    ] = "benchmark",
) -> None:
    """Write a job to start from: it runs as it stands, and comments say what else there is."""
    from flows.cli.console import say
    from flows.cli.starter import write_starter

    write_starter(job, kind)
    say(f"job      {job}; set `uri` to your images, then: restora benchmark {job}")


@spread
def restore(
    source: Source,
    dest: Destination,
    restorer: Annotated[
        str | None,
        typer.Option(
            "--restorer",
            metavar="NAME_OR_URL",
            help="A name from `restora list restorers`, or the path or URL of weights.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="Instead of --restorer: what is to be done, by the restorer that does it best of all that "
            "were measured: denoising, speckle, deblurring, inpainting, ...",
        ),
    ] = None,
    known: Known = Known(),  # noqa: B008 - frozen
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            metavar="NAME",
            help="A score that needs no reference; repeat it for several. Without it: two that say how far "
            "the radiometry moved. `--metric none`: no scores.",
        ),
    ] = list(RESTORE_METRICS),  # noqa: B006 - typer copies it
    frames: Frames = Frames(),  # noqa: B008 - frozen
    trust: Trust = Trust(),  # noqa: B008 - frozen
    collection: Collection = Collection(),  # noqa: B008 - frozen
    running: Running = Running(),  # noqa: B008 - frozen
    limit: Limit = None,
) -> None:
    """Restore images: each becomes DEST/<its path>; tables and report go to DEST/_restora.

    Running it again does only what is new, changed or missing.
    """
    from flows.addresses import restorer_of

    chosen = restorer_of(restorer, known.noise_level, task)
    fields = {
        "restorers": [chosen | {"uncertainty": trust.uncertainty}],
        "metrics": [] if metric == ["none"] else metric,
    }
    told = known.of_dataset() | frames.of_dataset()
    _run("restore", source, dest, collection, running, limit, fields | trust.of_job(), told)


@spread
def degrade(
    source: Source,
    dest: Destination,
    degradation: Annotated[
        str, typer.Option("--degradation", metavar="NAME", help="A preset from `restora list degradations`.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Another seed draws other noise and other parameters.")
    ] = 0,
    collection: Collection = Collection(),  # noqa: B008 - frozen
    running: Running = Running(),  # noqa: B008 - frozen
    limit: Limit = None,
) -> None:
    """Degrade images: each becomes DEST/<its path>; what was drawn is in the table.

    Running it again does only what is new, changed or missing.
    """
    fields = {"degradations": [degradation], "seed": seed}
    _run("degrade", source, dest, collection, running, limit, fields)


@spread
def retry(out: Output, profile: Profile = None, running: Running = Running()) -> None:  # noqa: B008
    """Try the quarantined images of a run again, and only those.

    An image that was replaced since needs no retry: the same command as before takes its new version.
    """
    from flows.addresses import open_output
    from flows.cli.session import run_job

    raise typer.Exit(run_job(open_output(out, profile).job, running.options(retry=True)))


@spread
def repair(out: Output, profile: Profile = None, running: Running = Running()) -> None:  # noqa: B008
    """Make again what a run has lost: objects that are gone or damaged, and damaged files of its own.

    Reads every object back, as `restora verify` does, and does only what is wrong with the run again.
    """
    from flows.addresses import open_output
    from flows.cli.session import run_job

    raise typer.Exit(run_job(open_output(out, profile).job, running.options(repair=True)))


@spread
def demo(
    dest: Annotated[
        Path, typer.Argument(metavar="[DEST]", help="The folder to write to, on this disk.")
    ] = Path("out/demo"),
    running: Running = Running(),  # noqa: B008 - frozen
    limit: Limit = None,
) -> None:
    """Degrade, restore and score six photographs with three restorers, in about a minute.

    Downloads nothing. The report that it names at the end shows what every benchmark shows.
    """
    from flows.cli.demo import demo_job
    from flows.cli.session import run_job

    raise typer.Exit(run_job(demo_job(dest), running.options(limit=limit)))


def _run(
    kind: str,
    source: str,
    dest: str,
    collection: Collection,
    running: Running,
    limit: int | None,
    fields: dict[str, Any],
    known: dict[str, Any] | None = None,
) -> None:
    """Runs the job of one SOURCE and one DEST that a command line describes."""
    from flows.addresses import dataset_of, profile_for
    from flows.cli.one_file import check_ending, check_source, names_a_file, run_to_file
    from flows.cli.session import run_job
    from pipeline.jobs.job import Job

    check_ending(source, dest)
    described = {
        "name": kind,
        "kind": kind,
        "output": dest,
        "output_profile": profile_for(dest, collection.profile),
        "output_format": collection.output_format,
        "overwrite": collection.overwrite,
        "datasets": [dataset_of(source, collection) | (known or {})],
    }
    if names_a_file(source, dest):
        raise typer.Exit(run_to_file(kind, source, dest, described | fields))
    job = Job.parse(described | fields, where=kind)
    check_source(source)
    raise typer.Exit(run_job(job, running.options(limit=limit)))
