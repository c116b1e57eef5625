"""The metric table of more than a million rows: a folder of parts, of which only changed ones are written.

Each part holds rows of one dataset x degradation x restorer out of one segment of the ledger (or out of the
files of units that are in none). A segment never changes, so its parts stay as they are as long as the same
of its rows count and the output is where it was; their sums and some rows for the report are kept beside.
``tables/parts.json`` says which parts count; others are removed.
"""

from __future__ import annotations

import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.hashing import sha256_hex
from pipeline.ledger.committed import COLUMNS, Committed, IdArray, contains
from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import as_table, counted
from pipeline.results.metric_sums import SumTable, groups_of
from pipeline.results.report_rows import ReportRows
from pipeline.storage.folder import Folder
from pipeline.storage.keys import safe_key
from pipeline.storage.scratch import scratch

TABLE = "tables/metrics.parquet"
"""A folder of this name; up to a million rows it is a file: see ``pipeline.results.tables``."""
CATALOGUE = "tables/parts.json"
SIDE = "tables/parts"
"""Sums and rows for the report, by part of the ledger."""
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

    def side(self, name: str) -> str:
        """Key of what is kept beside: ``sums`` or ``report``."""
        return f"{SIDE}/{self.state[:32]}-{name}.parquet"


def read_catalogue(folder: Folder) -> list[Part]:
    """The parts that count; none where the table is a file, or where it is to be made again."""
    try:
        return [Part(**each) for each in json.loads(folder.read(CATALOGUE))["parts"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def write_catalogue(folder: Folder, parts: list[Part]) -> None:
    """Makes these the parts that count, and removes all others."""
    folder.put(CATALOGUE, json.dumps({"parts": [asdict(each) for each in parts]}).encode())
    remove_others(folder, parts)


def remove_others(folder: Folder, parts: list[Part]) -> None:
    """Parts that do not count any more, or that a killed run left."""
    mine = {key for part in parts for key in (*part.keys, part.side("sums"), part.side("report"))}
    there = [*folder.keys(TABLE, ".parquet"), *folder.keys(SIDE, ".parquet")]
    folder.delete_all([key for key in there if key not in mine])


@dataclass(frozen=True)
class PartWriter:
    """``part(each)`` of the ledger: as it is in the tables, or written anew."""

    run: RunFolder
    schema: pa.Schema
    directions: dict[str, float]
    listed: IdArray
    committed: Committed
    known: dict[str, Part]
    """By state."""

    def part(self, source: LedgerPart) -> Part:
        """The rows of a part of the ledger in the tables."""
        counts, digest = self._counts(source)
        described = (source.name, digest, self.run.root.url, str(self.schema), str(self.schema.metadata))
        state = sha256_hex("\n".join(described).encode())
        return self.known[state] if state in self.known else self._written(source, counts, state)

    def _counts(self, source: LedgerPart) -> tuple[Iterator[NDArray[np.bool_]] | None, str]:
        """Which rows count: none to ask where all do, without a look at any."""
        if self._all_count:
            return None, "all"
        masks = [
            contains(self.listed, table["source_id"]) & self.committed.newest(table)
            for table in source.tables(COLUMNS)
        ]
        return iter(masks), sha256_hex(b"".join(np.packbits(each).tobytes() for each in masks))

    @property
    def _all_count(self) -> bool:
        return not len(self.committed.several) and bool(contains(self.listed, self.committed.done).all())

    def _written(self, source: LedgerPart, counts: Iterator[NDArray[np.bool_]] | None, state: str) -> Part:
        part, sums, shown = Part(state, counts=Counter()), SumTable(self.directions), ReportRows(self.run.job)
        with _Files(self.run.folder, self.schema, state) as files:
            for table in source.tables(None):
                kept = table if counts is None else table.filter(pa.array(next(counts)))
                part.counts.update(counted(table, kept))
                if len(kept):
                    rows = as_table(kept, self.run, self.schema)
                    files.write(rows)
                    sums.add(rows)
                    shown.add(rows)
        part.keys, part.counts = files.keys, dict(part.counts)
        _put(self.run.folder, part.side("sums"), sums.stored())
        _put(self.run.folder, part.side("report"), shown.table(self.schema))
        return part


class _Files:
    """Rows by dataset x degradation x restorer, in files on this machine, stored when they are whole."""

    def __init__(self, folder: Folder, schema: pa.Schema, state: str) -> None:
        self._folder, self._schema, self._state = folder, schema, state
        self.keys: list[str] = []
        self._open: dict[Group, _OpenFile] = {}
        self._stack = ExitStack()

    def __enter__(self) -> _Files:
        self._place = self._stack.enter_context(scratch("table"))
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
                self._store(group)

    def _store(self, group: Group) -> None:
        file = self._open.pop(group)
        file.writer.close()
        key = f"{TABLE}/{'/'.join(map(safe_key, group))}/{self._state[:32]}-{len(self.keys):04d}.parquet"
        self._folder.put_file(key, file.path)
        self.keys.append(key)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            for group in list(self._open):
                if kind is None:
                    self._store(group)
                else:
                    self._open.pop(group).writer.close()


class _OpenFile:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.rows = path, 0
        self.writer = pq.ParquetWriter(path, schema, compression="zstd")


def read_side(folder: Folder, part: Part, name: str) -> pa.Table:
    """What is kept beside a part."""
    return pq.ParquetFile(io.BytesIO(folder.read(part.side(name)))).read()


def _put(folder: Folder, key: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    folder.put(key, buffer.getvalue())


def totals_of(parts: list[Part]) -> dict[str, int]:
    """The counts of all parts."""
    totals: Counter[str] = Counter()
    for part in parts:
        totals.update(part.counts)
    return dict(totals)


def read_parts(folder: Folder, parts: list[Part], columns: list[str] | None) -> Iterator[pa.Table]:
    """The rows of the table, a file in memory at a time."""
    for key in (key for part in parts for key in part.keys):
        with folder.open(key) as file:
            yield pq.ParquetFile(file).read(columns)
