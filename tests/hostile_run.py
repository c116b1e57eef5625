"""What must hold of a run over damaged files and whole ones among them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipeline.formats import decode
from pipeline.jobs.job import Job
from pipeline.storage.folder import Folder
from tests.helpers import fill, metric_rows, restore
from tests.hostile_files import OTHER_ENDS, UNPACKED, Hostile, originals

CONTROLS = "controls"


def write_files(folder: Path, files: Iterable[Hostile], copies: int = 1) -> None:
    """The damaged files, and ``copies`` of every whole one among them."""
    whole = {
        f"{CONTROLS} {number} {name}": each for number in range(copies) for name, each in originals().items()
    }
    fill(folder, whole | {each.name: each.data for each in files})


def job_over(folder: Path, output: Path, **fields) -> Job:
    """Restores them as they are, each DICOM object for itself, and never stops for so many bad ones."""
    dataset = {"name": "hostile", "uri": str(folder), "private": False, "series": "single"}
    quarantine = {"threshold": 1.0, "stop_share": 1.0}
    return restore("", output, datasets=[dataset], quarantine=quarantine, restorers=["identity"], **fields)


def check_rows(job: Job, alone: Job, files: Iterable[Hostile]) -> tuple[Counter[str], list[str]]:
    """How often each reason was given, and what is wrong: sources without their row, whole files whose
    output differs from that of a run over them ``alone``, damaged ones that are ok with other pixels."""
    rows, expected = by_key(job), by_key(alone)
    known = {each.name: each for each in files}
    wrong = [f"no row: {name}" for name in known.keys() - rows.keys()]
    for key, row in rows.items():
        if key in known:
            wrong += _faults(known[key], row, expected)
        elif same_of(row) != same_of(expected[_first_copy(key)]):
            wrong.append(f"not as alone: {key}")
    return Counter(row["reason"] or "ok" for row in rows.values()), wrong


def _first_copy(key: str) -> str:
    controls, _, name = key.split(" ", 2)
    return f"{controls} 0 {name}"


def by_key(job: Job) -> dict[str, dict]:
    rows = metric_rows(job)
    assert len({row["key"] for row in rows}) == len(rows), "one row a source"
    return {row["key"]: row for row in rows}


def same_of(row: Mapping) -> tuple:
    return row["status"], row["reason"], row["output_sha256"]


def _faults(file: Hostile, row: dict, expected: Mapping[str, dict]) -> list[str]:
    """Of a file that ends early, or in other bytes, and is ok: it must have the pixels of the whole one."""
    whole = expected[f"{CONTROLS} 0 {file.original}"]
    is_checked = file.damage == "cut" or (file.damage in OTHER_ENDS and file.original not in UNPACKED)
    if not is_checked or row["status"] != "ok" or whole["status"] != "ok":
        return []
    one, other = (decode(read(each["output_uri"])).samples for each in (row, whole))
    same = one.shape == other.shape and np.array_equal(one, other)
    return [] if same else [f"ok with other pixels: {file.name}"]


def read(uri: str) -> bytes:
    folder, _, key = uri.rpartition("/")
    return Folder(folder).read(key)
