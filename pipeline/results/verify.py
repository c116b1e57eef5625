"""Proof of a finished run: every source once, every object there with its hash.

Reads the plan, the ledger and the objects, and believes none of them.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.doors.outlet import Results
from pipeline.errors import describe
from pipeline.hashing import sha256_hex, sha256_of
from pipeline.ledger.addresses import promised
from pipeline.ledger.committed import IdIndex, ids_of
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK
from pipeline.planning.plan_files import read_source_ids
from pipeline.results.current import current_rows
from pipeline.results.row_sample import RowSample
from pipeline.storage.base import CONNECTIONS
from pipeline.wording import number_of

MOST_SHOWN = 20
COLUMNS = [
    *("dataset", "key", "source_id", "degradation", "restorer", "unit_id", "attempt", "status"),
    "finished_at",
    *(f"{kind}_{name}" for kind in ("output", "degraded") for name in ("uri", "sha256", "bytes")),
]
"""Of the ledger: what is checked."""
UNCERTAINTY = [f"uncertainty_{name}" for name in ("uri", "sha256", "bytes")]
DISK_THREADS = 8
HELD_BYTES = 1 << 26
"""Larger objects are read in pieces, one request more each."""


def columns_of(run: RunFolder) -> list[str]:
    """Of the ledger of this run: what is checked."""
    return COLUMNS + (UNCERTAINTY if run.job.save_uncertainty else [])


@dataclass(frozen=True)
class Verification:
    """What was found; ``problems`` is empty where the run is whole."""

    sources: int
    ok: int
    """Sources whose every row is ok."""
    quarantined: int
    """Sources with at least one quarantined row."""
    objects: int
    """Stored objects that were read back and hashed."""
    problems: tuple[str, ...]
    """The first faults, one line each."""
    problem_count: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, doubled or damaged."""
        return self.problem_count == 0


class _Problems:
    def __init__(self) -> None:
        self.shown: list[str] = []
        self.count = 0

    def add(self, text: str, count: int = 1) -> None:
        self.count += count
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(text)


def verify(
    run: RunFolder, *, since: datetime | None = None, sample: int | None = None, threads: int | None = None
) -> Verification:
    """Checks the ledger against the plan, and objects against the ledger.

    ``since`` reads back only the objects of rows made from then on: what a nightly run added to a large
    archive; ``sample`` those of so many ok rows, drawn at random. Without both, every object.
    """
    at_once = threads or (DISK_THREADS if run.root.is_local else CONNECTIONS)
    drawn = None if sample is None else RowSample(sample)
    problems = _Problems()
    listed = IdIndex(read_source_ids(run.folder))
    count = len(listed.ids)
    rows_per_source, bad = np.zeros(count, np.int64), np.zeros(count, bool)
    expected = Counter(run.recipe.combinations)
    objects, results = 0, run.results()
    for line in run.ledger.lost():
        problems.add(line)
    for _, current in current_rows(run, columns_of(run)):
        places = listed.places(ids_of(current["source_id"]))
        np.add.at(rows_per_source, places, 1)
        bad[places[current["status"].to_numpy() != OK]] = True
        _check_combinations(current, expected, problems)
        fresh = current if since is None else current.filter(pc.greater_equal(current["finished_at"], since))
        if drawn is None:
            objects += _check_objects(fresh, run, results, problems, at_once)
        else:
            drawn.add(fresh.filter(pc.equal(fresh["status"], OK)))
    if drawn is not None and (rows := drawn.table()) is not None:
        objects = _check_objects(rows, run, results, problems, at_once)
    _check_counts(rows_per_source, sum(expected.values()), problems)
    covered = rows_per_source > 0
    return Verification(
        sources=count,
        ok=int((covered & ~bad).sum()),
        quarantined=int(bad.sum()),
        objects=objects,
        problems=tuple(problems.shown),
        problem_count=problems.count,
    )


def _check_counts(rows: NDArray[np.int64], expected: int, problems: _Problems) -> None:
    if missing := int((rows == 0).sum()):
        problems.add(f"no committed row for {number_of(missing, 'source')}: run the job again", missing)
    if few := int(((rows > 0) & (rows < expected)).sum()):
        problems.add(f"fewer than {number_of(expected, 'row')} for {number_of(few, 'source')}", few)
    if many := int((rows > expected).sum()):
        problems.add(f"more than {number_of(expected, 'row')} for {number_of(many, 'source')}", many)


def _check_combinations(table: pa.Table, expected: Counter[tuple[str, str]], problems: _Problems) -> None:
    names = ["degradation", "restorer"]
    for degradation, restorer in (tuple(each.values()) for each in _distinct(table, names)):
        mine = pc.and_(pc.equal(table["degradation"], degradation), pc.equal(table["restorer"], restorer))
        rows = table.filter(mine)
        if (degradation, restorer) not in expected:
            for key in rows["key"].to_pylist():
                problems.add(f"{key}: a row of {degradation} x {restorer}, which is not in the job")
        elif pc.count_distinct(rows["source_id"]).as_py() < len(rows):
            counts = rows.group_by(["source_id", "key"], use_threads=False).aggregate([([], "count_all")])
            for each in counts.filter(pc.greater(counts["count_all"], 1)).to_pylist():
                text = f"{each['key']}: more than one row of {degradation} x {restorer}"
                problems.add(text, each["count_all"] - 1)


def _distinct(table: pa.Table, names: list[str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (
        table.select(names).group_by(names, use_threads=False).aggregate([]).to_pylist()
    )
    return found


def _check_objects(
    table: pa.Table, run: RunFolder, results: Results, problems: _Problems, threads: int
) -> int:
    owed: set[tuple[str, str, int]] = set()
    for row, kind, key in promised(table, run):
        if key is None:
            problems.add(f"{row['key']}: an ok row without its {kind} object")
        else:
            owed.add((key, row[f"{kind}_sha256"], row[f"{kind}_bytes"]))
    with ThreadPoolExecutor(threads) as pool:
        for fault in pool.map(lambda each: object_fault(results, *each), sorted(owed)):
            if fault is not None:
                problems.add(f"{fault}; restora repair makes it again")
    return len(owed)


def object_fault(results: Results, key: str, digest: str, size: int) -> str | None:
    """What is wrong with an object that a row promises; ``None`` where nothing is."""
    try:
        found, count = _digest(results, key, size)
    except FileNotFoundError:
        return f"{key}: the object is missing"
    except Exception as error:
        return f"{key}: cannot be read: {describe(error)}"
    if count != size:
        return f"{key}: {count} bytes, the ledger says {size}"
    return None if found == digest else f"{key}: its SHA-256 is not that of the ledger"


def _digest(results: Results, key: str, size: int) -> tuple[str, int]:
    if size > HELD_BYTES:
        with results.open(key) as file:
            return sha256_of(file)
    data = results.read(key)
    return sha256_hex(data), len(data)
