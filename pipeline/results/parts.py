"""The metric table of more than a million rows: a folder of parts, of which only changed ones are written.

Each part holds rows of one dataset x degradation x restorer out of one segment of the ledger (or out of the
files of units that are in none). A segment never changes, so its parts stay as they are as long as the same
of its rows count and the output is where it was; their sums and some rows for the report are kept beside.
``tables/parts.json`` says which parts count.

Whoever reads the bare folder never meets a row twice: new files wait on this machine until those that they
replace are deleted. For that moment, or after a kill in it, rows are missing; the catalogue says so.
"""

from __future__ import annotations

import io
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import as_table, counted
from pipeline.results.metric_sums import SumTable, groups_of
from pipeline.results.part_counts import Mask, PartCounts, counted_rows, digest_of, state_of
from pipeline.results.table_columns import written_as
from pipeline.results.tally import Tally
from pipeline.storage.folder import Folder
from pipeline.storage.keys import safe_key

TABLE = "tables/metrics.parquet"
"""A folder of this name; up to a million rows it is a file: see ``pipeline.results.tables``."""
CATALOGUE = "tables/parts.json"
SIDE = "tables/parts"
"""Sums and rows for the report, by part of the ledger; of a table in a file the rows."""
MOST_ROWS = 1_000_000
"""Of a part."""

Group = tuple[str, str, str]
"""Dataset, degradation, restorer."""


@dataclass
class Part:
    """What the tables hold of one part of the ledger."""

    state: str
    """Digest of what they were made from."""
    keys: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    """Quarantined rows by their reason."""
    trust: dict[str, int] = field(default_factory=dict)
    """As ``trust_counts``, of restore runs."""

    def side(self, name: str) -> str:
        """Key of what is kept beside: ``sums`` or ``report``."""
        return f"{SIDE}/{self.state[:32]}-{name}.parquet"


@dataclass(frozen=True)
class Catalogue:
    """Which parts there are."""

    parts: tuple[Part, ...] = ()
    is_whole: bool = True
    """False while others are still to be written."""


def read_catalogue(folder: Folder) -> Catalogue | None:
    """What the folder of parts holds; ``None`` where the table is a file, or is to be made again."""
    try:
        found = json.loads(folder.read(CATALOGUE))
        return Catalogue(tuple(Part(**each) for each in found["parts"]), found["is_whole"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def replace_parts(folder: Folder, parts: list[Part], new: dict[str, Path]) -> None:
    """Makes these the parts that count; ``new``: files of this machine, by the keys that they get.

    What does not count any more goes first, also what a killed run left.
    """
    kept = [each for each in parts if not new.keys() & set(each.keys)]
    others = _others(folder, kept, sides_of=parts)
    if others or new:
        _write_catalogue(folder, Catalogue(tuple(kept), is_whole=False))
    folder.delete_all(others)
    if folder.exists(TABLE):  # a file, from when there were fewer rows
        folder.delete(TABLE)
    for key, path in new.items():
        folder.put_file(key, path)
    _write_catalogue(folder, Catalogue(tuple(parts)))


def _write_catalogue(folder: Folder, catalogue: Catalogue) -> None:
    folder.put(CATALOGUE, json.dumps(asdict(catalogue)).encode())


def _others(folder: Folder, kept: list[Part], sides_of: list[Part]) -> list[str]:
    mine = {key for part in kept for key in part.keys}
    mine |= {part.side(name) for part in sides_of for name in ("sums", "report")}
    return [
        key for key in (*folder.keys(TABLE, ".parquet"), *folder.keys(SIDE, ".parquet")) if key not in mine
    ]


@dataclass(frozen=True)
class PartWriter:
    """``part(each)`` of the ledger: as it is in the tables, or written anew."""

    run: RunFolder
    schema: pa.Schema
    directions: dict[str, float]
    counts: PartCounts
    known: dict[str, Part]
    """By state."""
    place: Path
    """Where new files wait."""
    new: dict[str, Path] = field(default_factory=dict)
    """New files, by the keys that they get."""

    def part(self, source: LedgerPart) -> Part:
        """The rows of a part of the ledger in the tables."""
        masks = self.counts.masks(source)
        state = state_of(self.run, self.schema, source, digest_of(masks))
        return self.known[state] if state in self.known else self._written(source, masks, state)

    def _written(self, source: LedgerPart, masks: list[Mask], state: str) -> Part:
        sums, tally, total = SumTable(self.directions), Tally(self.run, self.schema), Counter[str]()
        with _Files(self.place, self.schema, state) as files:
            for table, kept in counted_rows(source, masks):
                total.update(counted(table, kept))
                if len(kept):
                    rows = as_table(kept, self.run, self.schema)
                    files.write(rows)
                    sums.add(rows)
                    tally.add(rows)
        self.new.update(files.stored)
        part = Part(state, list(files.stored), dict(total), dict(tally.reasons), dict(tally.trust))
        put_table(self.run.folder, part.side("sums"), sums.stored())
        put_table(self.run.folder, part.side("report"), tally.shown.table(self.schema))
        return part


class _Files:
    """Rows by dataset x degradation x restorer, in files on this machine."""

    def __init__(self, place: Path, schema: pa.Schema, state: str) -> None:
        self._place, self._schema, self._state = place, schema, state
        self.stored: dict[str, Path] = {}
        """Whole files, by the keys that they get."""
        self._open: dict[Group, _OpenFile] = {}

    def __enter__(self) -> _Files:
        return self

    def write(self, table: pa.Table) -> None:
        """Rows of any groups."""
        for group, rows in groups_of(table):
            if group not in self._open:
                self._open[group] = _OpenFile(self._place / f"{uuid.uuid4().hex}.parquet", self._schema)
            file = self._open[group]
            file.writer.write_table(table.take(pa.array(rows)))
            file.rows += len(rows)
            if file.rows >= MOST_ROWS:
                self._close(group)

    def _close(self, group: Group) -> None:
        file = self._open.pop(group)
        file.writer.close()
        name = f"{self._state[:32]}-{len(self.stored):04d}.parquet"
        self.stored[f"{TABLE}/{'/'.join(map(safe_key, group))}/{name}"] = file.path

    def __exit__(self, *_: object) -> None:
        for group in list(self._open):
            self._close(group)


class _OpenFile:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.rows = path, 0
        self.writer = pq.ParquetWriter(path, schema, **written_as(schema))


def read_side(folder: Folder, part: Part, name: str) -> pa.Table:
    """What is kept beside a part."""
    return pq.ParquetFile(io.BytesIO(folder.read(part.side(name)))).read()


def put_table(folder: Folder, key: str, table: pa.Table) -> None:
    """Writes a small one as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    folder.put(key, buffer.getvalue())


def totals_of(parts: Iterable[Part]) -> dict[str, int]:
    """The counts of all parts."""
    return _added(part.counts for part in parts)


def reasons_of(parts: Iterable[Part]) -> dict[str, int]:
    """Quarantined rows of all parts, by their reason."""
    return _added(part.reasons for part in parts)


def trust_of(parts: Iterable[Part]) -> dict[str, int]:
    """What ``trust_counts`` says of all parts."""
    return _added(part.trust for part in parts)


def _added(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for each in counts:
        totals.update(each)
    return dict(totals)


def read_parts(folder: Folder, parts: Iterable[Part], columns: list[str] | None) -> Iterator[pa.Table]:
    """The rows of the table, a file in memory at a time."""
    for key in (key for part in parts for key in part.keys):
        with folder.open(key) as file:
            yield pq.ParquetFile(file).read(columns)
