"""Where the images of a training come from, and under which terms: for the card."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import JobError


def read_attribution(table: Path, names: Iterable[str]) -> list[dict[str, str]]:
    """Package, file, licence and author of each image, out of a tab-separated table.

    Lines are use, package, file, licence, author, and what else one wants to note (ours: SHA-256 of the
    file); ``#`` starts a comment. Extensions and folders do not count: an image at several sizes is one.
    Raises ``JobError`` where an image is not in the table: nothing is trained on unknown terms.
    """
    try:
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    except OSError as error:
        raise JobError(f"data.attribution: cannot read {table}: {error.strerror}") from None
    known = {Path(row[2]).stem: row[1:5] for row in rows}
    names = list(names)
    if unknown := [name for name in names if Path(name).stem not in known]:
        raise JobError(
            f"data.attribution: {table} does not list {', '.join(unknown)}; add package, file, licence and "
            "author, or do without the table: --set data.attribution=null"
        )
    keys = ("package", "file", "licence", "author")
    stems = dict.fromkeys(Path(name).stem for name in names)
    return [dict(zip(keys, known[stem], strict=True)) for stem in stems]
