"""Jobs and runs.

Imports inside functions keep torch and tables out of the start-up of a notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.run import Options, Progress
from restora.results import Result

if TYPE_CHECKING:
    from pipeline.planning.plan import PlanSummary

Engine = Literal["local", "ray", "auto"]
OnProgress = Callable[[Progress], None]


def job(path: str | Path | None = None, /, **fields: Any) -> Job:
    """A job out of a TOML file, out of keywords, or out of a file with some fields replaced.

    Raises ``JobError``, which names the field, its value and the cure.
    """
    if path is None:
        return Job.parse(fields)
    described = Job.from_toml(path)
    return Job.parse(described.model_dump() | fields, where=str(path)) if fields else described


def run(
    job: Job,
    *,
    engine: Engine = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    limit: int | None = None,
    retry: bool = False,
    progress: OnProgress | bool = False,
) -> Result:
    """Takes the job as far as it goes; running it again does only what is new, changed or missing.

    ``engine``: one worker in this process, several on Ray (``ray_address`` joins a cluster), or ``auto``.
    ``limit``: only the first so many images. ``retry``: only what is quarantined. ``progress``: called with
    a ``Progress`` as units are done; ``True`` shows a bar, in notebooks too. Raises ``JobError`` for a job
    that cannot run, ``StorageError`` for a store that cannot be used, ``RunStopped`` where too many fail.
    """
    from flows.addresses import absolute
    from pipeline import run as steps

    _check(job, engine, ray_address, {"workers": workers, "limit": limit}, progress)
    options = Options(engine, ray_address, workers, limit, retry)
    with steps.open_run(absolute(job), options) as opened:
        planned = steps.plan(opened, options)
        if finished := steps.finished(opened, planned):
            return Result(opened, finished.verification)
        with _reporting(planned, progress) as report:
            steps.execute(opened, options, planned, report)
        table, verification = steps.compact(opened), steps.verify(opened)
        steps.conclude(opened, table, verification, steps.report(opened))
        return Result(opened, verification)


def _check(
    asked: Any, engine: str, ray_address: str | None, counts: dict[str, int | None], progress: Any
) -> None:
    """``JobError`` by argument, with the cure."""
    if not isinstance(asked, Job):
        raise JobError(f"job: needs what restora.job(...) gives, got {type(asked).__name__}")
    if engine not in (known := get_args(Engine)):
        raise JobError(f"engine: must be one of {', '.join(known)}, got {engine!r}")
    if ray_address is not None and engine == "local":
        raise JobError(
            'ray_address: has no effect with engine = "local"; write engine="ray", or leave it out'
        )
    for name, count in counts.items():
        if count is not None and count < 1:
            raise JobError(f"{name}: must be 1 or more, got {count}; leave it out for as many as there are")
    if not isinstance(progress, bool) and not callable(progress):
        raise JobError(f"progress: must be true, false or a function of a Progress, got {progress!r}")


def score(
    restored: str | Path | Sequence[str | Path],
    references: str | Path,
    *,
    metrics: Sequence[str] = ("psnr", "ssim"),
    output: str | Path = "out/score",
    engine: Literal["local", "ray"] = "local",
    progress: OnProgress | bool = False,
    **fields: Any,
) -> Result:
    """Scores folders of images that anything restored against their references; each is a restorer.

    ``fields``: ``match``, ``reference``, ``clear``, ``border``, ``pattern``, ``private``, ``profile`` of
    ``flows.scoring.score_fields``. Raises as ``run``.
    """
    from flows.scoring import score_fields

    places = [restored] if isinstance(restored, str | Path) else restored
    described = score_fields(
        [str(each) for each in places], str(references), output=str(output), metrics=metrics, **fields
    )
    return run(Job.parse(described, where="score"), engine=engine, progress=progress)


@contextmanager
def _reporting(planned: PlanSummary, progress: OnProgress | bool) -> Iterator[OnProgress]:
    if progress is True:
        from rich.console import Console

        from flows.cli.live_progress import bar

        with bar(planned, Console()) as update:
            yield update
    else:
        yield progress or (lambda _: None)
