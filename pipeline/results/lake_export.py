"""Hands the metric table over to a lake: only parts that are new there are written, those that went go.

A table in parts brings its own; one in a file is one part. Of private datasets only the columns go that
their rows may fill, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import JobError
from pipeline.formats.extras import extra_called
from pipeline.hashing import sha256_of
from pipeline.ledger.redaction import ALLOWED_COLUMNS
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import COLUMNS
from pipeline.results.lakes import LAKES
from pipeline.results.lakes.base import PART, LakeTable, Rows
from pipeline.results.tables import METRIC_TABLE, table_parts
from pipeline.storage.folder import Folder

_HIDDEN = (set(COLUMNS.names) | {"reference_uri"}) - ALLOWED_COLUMNS - {"message"}
"""What a private row has no value for; of messages the ledger holds only those that may be told."""


@dataclass(frozen=True)
class Exported:
    """What a lake got."""

    place: str
    rows: int
    """New ones."""
    new: int
    """Parts."""
    gone: int
    """Parts whose rows are no longer there."""


def export_table(run: RunFolder, lake: str, place: str, catalogue: str | None = None) -> Exported:
    """Makes the lake's table at a place that of the run.

    ``JobError`` where the extra is missing, or the place holds another table; ``StorageError`` where the
    run's own table is not whole.
    """
    found = LAKES[lake]
    if found.module and find_spec(found.module) is None:
        raise JobError(f"--to {lake}: needs an extra: {extra_called(found.extra).cure}")
    place = Folder(place).url
    table, files = found.open(place, catalogue), _files_of(run)
    if not files:
        return Exported(place, 0, 0, 0)
    schema = _schema_of(run, files)
    _refuse_others(table, run, schema, place)
    there = table.parts()
    new, gone = [name for name in files if name not in there], sorted(there - files.keys())
    counted = _Counted(_rows(run, {name: files[name] for name in new}, schema))
    if new or gone:
        table.replace(gone, new, iter(counted), schema)
    return Exported(place, counted.rows, len(new), len(gone))


def _files_of(run: RunFolder) -> dict[str, list[str]]:
    """The parts of the run's table, named after its recipe and what they hold, with their files."""
    prefix = run.recipe_id[:12]
    if in_parts := table_parts(run):
        return {f"{prefix}{each.state[:32]}": each.keys for each in in_parts if each.keys}
    with run.folder.open(METRIC_TABLE) as file:
        digest, _ = sha256_of(file)
    return {f"{prefix}{digest[:32]}": [METRIC_TABLE]}


def _schema_of(run: RunFolder, files: dict[str, list[str]]) -> pa.Schema:
    key = next(iter(files.values()))[0]
    with run.folder.open(key) as file:
        fields = pq.ParquetFile(file).schema_arrow
    return pa.schema([pa.field(PART, pa.string()), *(field.remove_metadata() for field in fields)])


def _refuse_others(table: LakeTable, run: RunFolder, schema: pa.Schema, place: str) -> None:
    columns = table.columns()
    others = [each for each in table.parts() if not each.startswith(run.recipe_id[:12])]
    if (columns is not None and columns != schema.names) or others:
        raise JobError(f"{place}: holds a table of another run; give another place with --into")


def _rows(run: RunFolder, files: dict[str, list[str]], schema: pa.Schema) -> Rows:
    private = pa.array([each.name for each in run.job.datasets if each.private], pa.string())
    for name, keys in files.items():
        for table in _tables(run, keys):
            shown = _redacted(table, private) if len(private) else table
            columns = [pa.repeat(pa.scalar(name), len(shown)), *shown.columns]
            yield name, pa.table(columns, schema=schema)


def _tables(run: RunFolder, keys: list[str]) -> Iterator[pa.Table]:
    for key in keys:
        with run.folder.open(key) as file:
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                yield parquet.read_row_group(group)


def _redacted(table: pa.Table, private: pa.Array) -> pa.Table:
    is_private = pc.is_in(table["dataset"], private)
    for name in _HIDDEN.intersection(table.column_names):
        column = table[name]
        place = table.schema.get_field_index(name)
        shown = pc.if_else(is_private, pa.scalar(None, column.type), column)
        table = table.set_column(place, table.schema.field(place), shown)
    return table


class _Counted:
    def __init__(self, rows: Rows) -> None:
        self._rows, self.rows = rows, 0

    def __iter__(self) -> Rows:
        for name, table in self._rows:
            self.rows += len(table)
            yield name, table
