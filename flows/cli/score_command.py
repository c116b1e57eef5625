"""The command that scores what was restored elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from flows.cli.arguments import Images, Limit, Running
from flows.cli.option_groups import spread
from flows.scoring import METRICS, OUTPUT


@dataclass(frozen=True)
class Pairs:
    """Which images belong together."""

    match: Annotated[
        str | None,
        typer.Option(
            "--match",
            metavar="REGEX",
            help="For the whole key of a restored image, with named groups: '(?P<id>.+)_x4\\.png'. Without "
            "it, its reference has the same key, whatever the extension.",
        ),
    ] = None
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="KEY", help="The key of the reference, made of those groups: '{id}.png'."
        ),
    ] = None
    clear: Annotated[
        str | None,
        typer.Option("--clear", metavar="KEY", help="A mask beside the reference: pixels count where not 0."),
    ] = None
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="RULE",
            help="Scores of sequences too: which images are frames of one, and in which order, as in "
            r"'(?P<scene>.+)_(?P<t>\d+)\.png'.",
        ),
    ] = None


@spread
def score(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="RESTORED... REFERENCES",
            help="Folders of images to score (paths or fsspec URLs), and last the folder of the true ones.",
        ),
    ],
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric", metavar="NAME", help="A score from `restora list metrics`; the first one ranks."
        ),
    ] = list(METRICS),  # noqa: B006 - typer copies it
    output: Annotated[
        str, typer.Option("--output", metavar="OUT", help="The folder for tables and report.")
    ] = OUTPUT,
    border: Annotated[
        int | None,
        typer.Option(
            "--border",
            min=0,
            metavar="N",
            help="Pixels cut from each side first; papers on enlarging by 4 cut 4. Without it: none.",
        ),
    ] = None,
    pairs: Pairs = Pairs(),
    images: Images = Images(),  # noqa: B008 - frozen
    running: Running = Running(),  # noqa: B008 - frozen
    limit: Limit = None,
) -> None:
    """Score images that anything restored against their references; rank several folders of them.

    No restorer runs. Running it again scores only what is new or changed. With --group the worst frame, what
    flickers and the error of the motion of every sequence are in OUT/tables/sequences.parquet.
    """
    from flows.cli.sequence_scores import rule_of, show_sequences
    from flows.cli.session import run_job
    from flows.scoring import score_fields
    from pipeline.errors import JobError
    from pipeline.jobs.job import Job

    if len(places) < 2:
        raise JobError("REFERENCES: is needed behind the folders to score: restora score swinir/ sharp/")
    *restored, references = places
    fields = score_fields(
        restored, references, output=output, metrics=metric, border=border,
        match=pairs.match, reference=pairs.reference, clear=pairs.clear, **asdict(images),
    )  # fmt: skip
    rule = None if pairs.group is None else rule_of(pairs.group)
    job = Job.parse(fields, where="score")
    code = run_job(job, running.options(limit=limit))
    if rule is not None:
        show_sequences(job, rule)
    raise typer.Exit(code)
