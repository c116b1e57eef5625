"""The job that scores folders of images, whatever restored them, against one folder of references.

Imports inside functions keep jobs and stores out of the start-up of every command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows.cli.arguments import Collection
from pipeline.errors import JobError

METRICS = ("psnr", "ssim")
OUTPUT = "out/score"


def score_fields(
    restored: Sequence[str],
    references: str,
    *,
    output: str = OUTPUT,
    metrics: Sequence[str] = METRICS,
    pattern: str = "*",
    match: str | None = None,
    reference: str | None = None,
    clear: str | None = None,
    border: int | None = None,
    private: bool | None = None,
    profile: str | None = None,
) -> dict[str, Any]:
    """The fields of the job. In the tables each folder is a restorer, named as the folder is.

    Either side may also be one file on this disk. ``match``, ``reference`` and ``clear`` are those of
    ``pipeline.jobs.datasets.References``.
    """
    from flows.addresses import dataset_of, profile_for

    rule = {"match": match, "reference": reference, "clear": clear}
    place = _references(references, rule) | {"profile": profile_for(references, profile)}
    names, images = _names(restored), Collection(pattern=pattern, private=private, profile=profile)
    return {
        "name": _name_of(references),
        "kind": "benchmark",
        "output": output,
        "output_profile": profile_for(output, profile),
        "metrics": list(metrics),
        "border": border,
        "datasets": [
            dataset_of(each, images) | {"name": name, "references": place}
            for each, name in zip(restored, names, strict=True)
        ],
    }


def _references(references: str, rule: dict[str, str | None]) -> dict[str, Any]:
    from pipeline.jobs.datasets import SEALED

    path = Path(references)
    if references.startswith(SEALED) or not path.is_file():
        return {"uri": references, **rule}
    if any(rule.values()):
        raise JobError(f"match: {references} is one file, which needs no rule; leave it out")
    name = path.name.replace("{", "{{").replace("}", "}}")
    return {"uri": str(path.parent), "match": ".+", "reference": name}


def _names(places: Sequence[str]) -> list[str]:
    """The last part of each address, or as many as tell them apart."""
    for parts in range(1, 6):
        names = [_name_of(place, parts) for place in places]
        if len(set(names)) == len(names):
            return names
    raise JobError("RESTORED: two of the folders are one; give each once")


def _name_of(place: str, parts: int = 1) -> str:
    from pipeline.jobs.datasets import SEALED

    if place.startswith(SEALED):
        return place[len(SEALED) : len(SEALED) + 12]
    shown = place if "://" in place else str(Path(place).absolute())
    last = [each for each in shown.split("/") if each][-parts:]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(last)).strip("-._")[-80:].lstrip("-._") or "images"
