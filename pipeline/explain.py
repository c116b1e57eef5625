"""One image explained: read and told as in a restore run, and a page written about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from models.contract import RestorerError
from models.insight.attribution import FIRST_STEPS, MOST_STEPS, TOLERANCE, OnStep
from models.insight.targets import Region
from pipeline import run
from pipeline.errors import JobError, RestoraError
from pipeline.insight.explanation import Explanation
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_sources
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Case, Failure
from pipeline.processing.processor import Processor
from pipeline.report.environment import css, environment
from pipeline.report.explained import headline
from pipeline.report.explained_case import explain_case
from pipeline.report.explained_image import ExplainedImage
from pipeline.storage.output_file import check_output_file, write_output
from pipeline.version import code_version
from pipeline.worker.loading import Loader

STEPS = (FIRST_STEPS, MOST_STEPS)
"""Of an attribution: at first, and at most."""
WANTED = TOLERANCE / 2
"""Share of the change that the steps may miss when they end."""


@dataclass(frozen=True)
class Asked:
    """What is to be explained."""

    region: str | None = None
    """``x,y,w,h`` in pixels of the restored image; ``None``: where the restorer changed the image most."""
    target: str = "detail"
    layer: str | None = None


def explain_to_page(
    job: Job, asked: Asked, file: Path, command: str, on_step: OnStep | None = None
) -> Explanation:
    """Writes the page about the one image and the one restorer of a restore job.

    ``on_step`` is told of the attribution's steps, which take most of the time.

    ``JobError`` for an image that cannot be had or restored, and for what is asked wrongly; then nothing is
    written.
    """
    check_output_file(file, ".html")
    region = None if asked.region is None else read_region(asked.region)
    options = run.Options(engine="local")
    with run.open_run(job, options) as opened:
        run.plan(opened, options)
        case = _case(opened)
        (built,) = opened.recipe.restorers
        title = f"{case.loaded.source.key}, {built.name}"
        try:
            found, image = explain_case(
                case,
                built,
                title,
                region=region,
                target=asked.target,
                layer=asked.layer,
                on_step=on_step,
            )
        except RestorerError as error:
            raise JobError(f"{case.loaded.source.key}: {error}") from error
    write_output(file, _page(image, found, command).encode())
    return found


def read_region(text: str) -> Region:
    """``x,y,w,h``: left, top, width and height. ``JobError`` for anything else."""
    try:
        left, top, width, height = (int(each) for each in text.split(","))
    except ValueError:
        raise JobError(
            f"--region: {text!r} is no region; give left,top,width,height in pixels of the restored image, "
            "as in 120,80,32,32"
        ) from None
    return Region(left, top, width, height)


def _case(opened: RunFolder) -> Case:
    """The image, decoded and told of as in a run."""
    job, sources = opened.job, list(read_sources(opened.folder))
    if len(sources) != 1:
        raise JobError(f"IMAGE: one image is explained at a time, here are {len(sources)}")
    (source,) = sources
    loader = Loader(job, SourceLocator(job))
    loaded = loader.load(source)
    if isinstance(loaded, Exception):
        raise _refused(source.key, loaded)
    case = Processor(opened.recipe, torch.device("cpu")).degraded(loaded, None)
    if isinstance(case, Failure):
        raise _refused(source.key, case.error)
    return case


def _refused(key: str, error: Exception) -> Exception:
    """What an image's row would say."""
    return JobError(f"{key}: {error}") if isinstance(error, RestoraError | ValueError) else error


def _page(image: ExplainedImage, found: Explanation, command: str) -> str:
    return (
        environment()
        .get_template("explain_page.jinja")
        .render(
            title=image.title,
            headline=headline(found),
            image=image,
            command=command,
            css=css(),
            code_version=code_version(),
        )
    )
