"""Proof of a finished run: every source once, every object there with its hash.

Reads the plan, the ledger and the objects, and believes none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.ledger.addresses import promised
from pipeline.ledger.identities import ids_of
from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK, is_ok
from pipeline.results.current import Counting
from pipeline.results.described import description_faults
from pipeline.results.object_check import ObjectCheck, Owed, Spread, in_portions, owed_beside
from pipeline.results.part_counts import PartCounts, digest_of, kept_of
from pipeline.results.row_sample import RowSample
from pipeline.results.verified import VERIFIED, WholePart, read_verified, write_verified
from pipeline.wording import number_of

MOST_SHOWN = 20
COLUMNS = [
    *("dataset", "key", "source_id", "degradation", "restorer", "unit_id", "attempt", "status"),
    "finished_at",
    *(f"{kind}_{name}" for kind in ("output", "degraded") for name in ("uri", "sha256", "bytes")),
]
"""Of the ledger: what is checked."""
UNCERTAINTY = [f"uncertainty_{name}" for name in ("uri", "sha256", "bytes")]


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
    """Stored objects whose hash was compared: read back, or asked of a store that keeps it."""
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
    run: RunFolder,
    *,
    since: datetime | None = None,
    sample: int | None = None,
    reads: bool = False,
    spread: Spread = map,
) -> Verification:
    """Checks the ledger against the plan, and objects against the ledger.

    ``since`` looks only at the objects of rows made from then on: what a nightly run added to a large
    archive, and at segments of the ledger that were not found whole before; ``sample`` at the objects of so
    many ok rows, drawn at random. Without both, every row and object. What a door wrote to describe all
    results is looked at unless there is a ``since``. It ``reads`` also those of which
    the store keeps a checksum. ``spread`` says where objects are looked at.
    """
    problems = _Problems()
    rows = _Rows(run, problems, since, sample)
    for line in run.ledger.lost():
        problems.add(line)
    for faults in spread(ObjectCheck(run, reads), rows.owed()):
        for fault in faults:
            problems.add(f"{fault}; restora repair makes it again")
    if since is None:
        for fault in description_faults(run, reads=reads):
            problems.add(f"{fault}; restora repair writes it again")
    _check_counts(rows.per_source, len(run.recipe.combinations), rows.before, problems)
    covered = rows.per_source > 0
    if problems.count == 0 and since is not None and run.lease is not None and rows.whole != rows.known:
        write_verified(run, rows.whole)
    return Verification(
        sources=len(covered),
        ok=int((covered & ~rows.bad).sum()) + rows.before - rows.bad_before,
        quarantined=int(rows.bad.sum()) + rows.bad_before,
        objects=rows.objects,
        problems=tuple(problems.shown),
        problem_count=problems.count,
    )


class _Rows:
    """A pass over the rows that count: checks them, and hands on the objects that they owe."""

    def __init__(
        self, run: RunFolder, problems: _Problems, since: datetime | None, sample: int | None
    ) -> None:
        self._run, self._problems, self._since = run, problems, since
        self._drawn = None if sample is None else RowSample(sample)
        # After a run the tables have just read which rows count.
        self._counting = Counting.of(run) if since is None else Counting.taken(run)
        self._counts = PartCounts(self._counting)
        self._outlet = run.outlet()
        self._expected = Counter(run.recipe.combinations)
        count = len(self._counting.listed.ids)
        self.per_source, self.bad = np.zeros(count, np.int32), np.zeros(count, bool)
        """Of what is looked at now."""
        self.known = read_verified(run) if since is not None and sample is None else {}
        self.whole: dict[str, WholePart] = {}
        """By segment: those that are whole, now or before."""
        self.before = self.bad_before = 0
        """Sources of segments that are not looked at again, and those of them with a quarantined row."""
        self.objects = 0
        """Handed on."""

    def owed(self) -> Iterator[list[Owed]]:
        """Objects to look at, some at a time."""
        for part in self._run.ledger.parts():
            if (found := self._standing(part)) is not None:
                self.whole[part.name] = found
                self.before += found.sources
                self.bad_before += found.quarantined
            else:
                yield from self._owed_by_part(part)
        if self._drawn is not None and (rows := self._drawn.table()) is not None:
            yield from self._owed_by(rows)

    def _standing(self, part: LedgerPart) -> WholePart | None:
        """What was found of a segment, where it is as it was, and has nothing that the last run made."""
        found = self.known.get(part.name)
        if found is None or self._since is None or not found.is_before(self._since):
            return None
        return found if digest_of(self._counts.masks(part)) == found.counts else None

    def _owed_by_part(self, part: LedgerPart) -> Iterator[list[Owed]]:
        faults, covered, bad = self._problems.count, (self.per_source > 0).sum(), self.bad.sum()
        rows, newest, masks = 0, [], []
        for table in part.tables(columns_of(self._run)):
            masks.append(self._counts.mask(table))
            current = kept_of(table, masks[-1])
            self._note(current)
            _check_combinations(current, self._expected, self._problems)
            rows += len(current)
            newest.append(pc.max(current["finished_at"]).as_py())
            yield from self._owed_since(current)
        sources = int((self.per_source > 0).sum() - covered)
        is_whole = self._problems.count == faults and rows == sources * len(self._expected)
        if is_whole and rows and part.rows is not None and None not in newest:
            found = WholePart(digest_of(masks), sources, int(self.bad.sum() - bad), max(newest).isoformat())
            self.whole[part.name] = found

    def _owed_since(self, current: pa.Table) -> Iterator[list[Owed]]:
        late = None if self._since is None else pc.greater_equal(current["finished_at"], self._since)
        if late is not None and not pc.any(late).as_py():
            return  # what an earlier run made
        fresh = current if late is None else current.filter(late)
        if self._drawn is None:
            yield from self._owed_by(fresh)
        else:
            self._drawn.add(fresh.filter(pc.equal(fresh["status"], OK)))

    def _note(self, current: pa.Table) -> None:
        places = self._counting.listed.places(ids_of(current["source_id"]))
        np.add.at(self.per_source, places, 1)
        self.bad[places[~is_ok(current)]] = True

    def _owed_by(self, table: pa.Table) -> Iterator[list[Owed]]:
        owed: set[Owed] = set()
        for row, kind, key in promised(table, self._run):
            if key is None:
                self._problems.add(f"{row['key']}: an ok row without its {kind} object")
            else:
                owed.add((key, row[f"{kind}_sha256"], row[f"{kind}_bytes"]))
                if beside := owed_beside(self._outlet, kind, key):
                    owed.add(beside)
        self.objects += len(owed)
        yield from in_portions(owed)


def _check_counts(rows: NDArray[np.int32], expected: int, before: int, problems: _Problems) -> None:
    """``before``: so many sources had all their rows when they were looked at, and are not among these."""
    if (missing := int((rows == 0).sum()) - before) < 0:
        problems.add(f"{VERIFIED} tells of {number_of(-missing, 'source')} too many: delete it and run again")
    elif missing:
        problems.add(f"no committed row for {number_of(missing, 'source')}: run the job again", missing)
    if few := int(((rows > 0) & (rows < expected)).sum()):
        problems.add(f"fewer than {number_of(expected, 'row')} for {number_of(few, 'source')}", few)
    if many := int((rows > expected).sum()):
        problems.add(f"more than {number_of(expected, 'row')} for {number_of(many, 'source')}", many)


def _check_combinations(table: pa.Table, expected: Counter[tuple[str, str]], problems: _Problems) -> None:
    names = ["degradation", "restorer"]
    table = table.select([*names, "source_id", "key"])
    found = [tuple(each.values()) for each in _distinct(table, names)]
    for degradation, restorer in found:
        mine = pc.and_(pc.equal(table["degradation"], degradation), pc.equal(table["restorer"], restorer))
        rows = table if len(found) == 1 else table.filter(mine)
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
