"""One image in, one image out: a run whose folder is thrown away once its image is in place."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from flows.addresses import absolute
from flows.cli.console import complain, say, working
from flows.cli.session import DONE, QUARANTINED
from pipeline.errors import JobError
from pipeline.jobs.datasets import SEALED

_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}", re.IGNORECASE)
"""What the end of a file's name looks like, as opposed to a folder called v1.0."""


def check_source(source: str) -> None:
    """``JobError`` where it is nothing on this disk, and no address of a store."""
    if not any(sign in source for sign in ("://", "::", SEALED)) and not os.path.lexists(source):
        raise JobError("SOURCE: no such file or folder; check the address")


def check_ending(source: str, dest: str) -> None:
    """``JobError`` where SOURCE is one image, and DEST a new file's name by an ending that no format has."""
    is_new = "://" not in dest and not dest.endswith("/") and not os.path.lexists(dest)
    ending = _ENDING.fullmatch(Path(dest).suffix)
    if is_new and ending and Path(source).is_file() and _format_of(dest) is None:
        raise JobError(
            f"DEST: no format here writes {ending[0]}; end it with .png, .tif, .jpg or another of "
            f"`restora list formats`, or a folder's name with a slash: {dest}/"
        )


def names_a_file(source: str, dest: str) -> bool:
    """Whether SOURCE is one image on this disk and DEST the name of another."""
    if (
        source.startswith(SEALED)
        or not Path(source).is_file()
        or "://" in dest
        or dest.endswith("/")
        or Path(dest).is_dir()
    ):
        return False
    return _format_of(dest) is not None


def run_to_file(kind: str, source: str, dest: str, fields: dict[str, Any]) -> int:
    """Runs the job of ``fields`` on the one image; writes DEST, or says why there is none."""
    from pipeline import run
    from pipeline.jobs.job import Job
    from pipeline.results.tables import read_metrics
    from pipeline.storage.output_file import is_same_file, write_output
    from pipeline.storage.scratch import scratch

    target = Path(dest).absolute()
    if is_same_file(target, source):
        raise JobError(f"DEST: {dest} is SOURCE itself; give another name")
    if target.exists() and not fields.get("overwrite"):
        raise JobError(f"DEST: {dest} is there already; give another name, or --overwrite")
    named = _format_of(dest) if Path(source).suffix.lower() != target.suffix.lower() else None
    chosen = {"output_format": fields.get("output_format") or named}
    with scratch("one") as place:
        job = Job.parse(fields | chosen | {"output": str(place), "output_profile": None}, where=kind)
        options = run.Options(engine="local")
        with working(f"{kind} {source}"), run.open_run(absolute(job), options) as opened:
            run.execute(opened, options, run.plan(opened, options))
            run.compact(opened)
            (row,) = read_metrics(opened).to_pylist()
        if row["status"] != "ok":
            complain(f"{source}: {row['reason']}: {row['message']}", style="bold yellow")
            return QUARANTINED
        write_output(target, Path(row["output_uri"]))
    scores = ", ".join(f"{name} {row[name]:.4g}" for name in job.metrics if row[name] is not None)
    say(f"image    {target}" + (f"  ({scores})" if scores else ""))
    return DONE


def _format_of(dest: str) -> str | None:
    """The name of the format that DEST's ending means; of several the plainest, which stands last."""
    from pipeline.formats import FORMATS

    return next(
        (name for name, each in reversed([*FORMATS.items()]) if dest.lower().endswith(each.extensions)), None
    )
