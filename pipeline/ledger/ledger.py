"""The commit record: one Parquet file per unit, written last. What has a row here is done.

Objects first, then one PUT of the unit's file at ``ledger/<recipe>/<2 hex>/<unit>.parquet``. There is
no second bookkeeping and nothing is renamed. Once there are many such files, they are merged into segments:
see ``pipeline.ledger.sealing``. The ledger is the segments and the files of units that are in none.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StorageError
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Job
from pipeline.ledger.committed import COLUMNS, Committed, CommittedBuilder
from pipeline.ledger.fetching import File, fetched, read_ahead
from pipeline.ledger.schema import Row, schema_of
from pipeline.ledger.sealed import Sealed, UnitNames
from pipeline.storage.folder import Folder
from pipeline.wording import number_of

Tables = Callable[[list[str] | None], Iterator[pa.Table]]


class LedgerPart(NamedTuple):
    """A segment, or the files of all units that are in none."""

    name: str
    """Other rows, other name."""
    rows: int | None
    """How many; ``None`` where nobody counted."""
    tables: Tables
    """Its rows, with these columns or all, a bounded number in memory."""


_OPTIONS = {
    "compression": "lz4",
    "use_dictionary": False,
    "write_statistics": False,
    "write_page_checksum": True,
}
"""Of a unit's file. With some forty columns of 32 rows it takes less room so than with zstd, dictionaries and
statistics, and a quarter of the time to write and to read. It has no column in which all is null: each costs
as much as one that is full; nor Arrow's own schema, which all but lists are read without."""
_SCHEMAS = 16
"""So many are remembered."""


class Ledger:
    """The ledger of one recipe in one run folder."""

    def __init__(self, folder: Folder, prefix: str, schema: pa.Schema) -> None:
        self.folder, self.prefix, self.schema = folder, prefix, schema
        self._sealed: Sealed | None = None
        self._names: UnitNames = {}
        self._of_today: list[pa.Schema] = []
        """Some of the columns of today each: what files had that were read."""
        self._has_lists = any(pa.types.is_nested(each.type) for each in schema)

    @classmethod
    def of(cls, job: Job, folder: Folder, recipe_id: str) -> Ledger:
        """The ledger with the columns that a job asks for."""
        return cls(folder, prefix_of(recipe_id), schema_of(job))

    def key(self, unit_id: str) -> str:
        """Where a unit's file is stored."""
        return f"{self.prefix}/{unit_id[:2]}/{unit_id}.parquet"

    def unit_keys(self) -> list[str]:
        """The files of units, sorted, also of those that are in a segment by now."""
        return self.folder.keys(self.prefix, ".parquet")

    def keys(self) -> list[str]:
        """The files that hold the ledger, sorted: its segments, and the units' that are in none."""
        files, sealed = self._opened()
        return sorted([*files, *(each.key for each in sealed.segments)])

    def unit_ids(self) -> frozenset[str]:
        """Every committed unit."""
        files, sealed = self._opened()
        return frozenset([*map(unit_of, files), *(each.decode() for each in sealed.unit_ids)])

    def commit(self, unit_id: str, rows: Sequence[Row]) -> None:
        """The one PUT that makes a unit done. Its objects must be in the store already."""
        buffer = io.BytesIO()
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        filled = [name for name in table.column_names if name in COLUMNS or not _is_empty(table[name])]
        pq.write_table(table.select(filled), buffer, store_schema=self._has_lists, **_OPTIONS)
        self.folder.put(self.key(unit_id), buffer.getvalue())

    def read(self, key: str, columns: list[str] | None = None) -> pa.Table:
        """The rows of one unit's file, with these columns or all. ``StorageError`` where it is damaged."""
        return self._filled(key, self.folder.read(key), columns)

    def _filled(self, key: str, data: bytes, columns: list[str] | None) -> pa.Table:
        table = self._parsed(key, data, columns)
        whole = self.conformed(table) if columns is None else None
        return table if whole is None else whole

    def _parsed(self, key: str, data: bytes, columns: list[str] | None) -> pa.Table:
        try:
            # Not read_table, which would import pyarrow.dataset and, where it is installed, pandas.
            # Its columns are here already: to ask for them ahead takes a third of the time.
            file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True, pre_buffer=False)
            table = file.read(columns, use_threads=False)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise self._damaged(key) from error
        table = _named(table, unit_of(key))
        if columns is None or len(table.column_names) == len(columns):
            return table
        if not set(COLUMNS) <= set(file.schema_arrow.names) <= set(self.schema.names) >= set(columns):
            raise self._damaged(key)  # a name in its schema
        return self._completed(table, columns)

    def checked(self, key: str, data: bytes) -> pa.Table:
        """What one unit's file holds, by its content: of the columns of today those that it has.

        ``StorageError`` where it is damaged.
        """
        table = self._parsed(key, data, None)
        if not self._is_of_today(table.schema):
            table = self.conformed(table)
            if table is None:
                raise self._damaged(key)
        return table

    def _is_of_today(self, schema: pa.Schema) -> bool:
        """Whether all its columns are there today, with the same types; told by a look in most cases."""
        if any(schema.equals(each) for each in self._of_today):
            return True
        names = set(schema.names)
        if len(names) < len(schema) or not set(COLUMNS) <= names <= set(self.schema.names):
            return False
        if any(each.type != self.schema.field(each.name).type for each in schema):
            return False
        self._of_today = [schema, *self._of_today[: _SCHEMAS - 1]]
        return True

    def conformed(self, table: pa.Table) -> pa.Table | None:
        """The same in the columns of today: those that an older version did not have are null.

        ``None`` where it has others, or lacks one that always was: then a name in its schema is damaged.
        """
        if table.schema.equals(self.schema):
            return table
        names = set(table.column_names)
        if len(names) < len(table.column_names) or not set(COLUMNS) <= names <= set(self.schema.names):
            return None
        try:
            return self._completed(table, self.schema.names)
        except pa.ArrowException:
            return None

    def _completed(self, table: pa.Table, columns: list[str]) -> pa.Table:
        """These columns, null where the table has none, in the types of today."""
        schema = self.schema if columns == self.schema.names else pa.schema(map(self.schema.field, columns))
        there = dict(zip(table.column_names, table.columns, strict=True))
        found = []
        for field in schema:
            column = there.get(field.name)
            if column is None:
                column = pa.nulls(len(table), field.type)
            found.append(column if column.type == field.type else column.cast(field.type))
        return pa.Table.from_arrays(found, schema=schema)

    def _damaged(self, key: str) -> StorageError:
        return StorageError(
            f"{self.folder.uri(key)}: not a whole Parquet file; run restora repair, or delete it and run the "
            "job again: its images will be done once more"
        )

    def rows(self, unit_id: str) -> list[Row] | None:
        """The rows of a unit that is committed, else ``None``.

        Which units are in segments is read once: a worker meets none that was sealed while it works, unless
        another driver took its run over, and then both commit the same rows.
        """
        try:
            table: pa.Table | None = self.read(self.key(unit_id))
        except FileNotFoundError:
            if self._sealed is None:
                self._sealed = self.sealed()
            table = self._sealed.unit(unit_id)
        return None if table is None else list(table.to_pylist())

    def sealed(self) -> Sealed:
        """The segments as they are now."""
        found = Sealed.of(self.folder, self.prefix, self._names)
        self._names = found.names
        return found

    def tables(self, columns: list[str] | None = None, threads: int = 8) -> Iterator[pa.Table]:
        """All rows: segments in parts of some 50,000 rows, then unit by unit, a bounded number in memory.

        Both in order of unit. Ask ``committed`` which rows count: a source may stand in several units.
        """
        for part in self.parts(threads):
            yield from part.tables(columns)

    def parts(self, threads: int = 8) -> list[LedgerPart]:
        """The same in parts, of which a segment's never changes."""
        files, sealed = self._opened()
        found = [LedgerPart(each.key, each.rows, partial(sealed.tables_of, each)) for each in sealed.segments]
        if files:
            name = sha256_hex("\n".join(files).encode())
            found.append(LedgerPart(name, None, partial(self._files, files, threads)))
        return found

    def _files(self, files: list[str], threads: int, columns: list[str] | None) -> Iterator[pa.Table]:
        def read(file: File) -> pa.Table:
            key, data = file
            return self._since_sealed(key, columns) if data is None else self._filled(key, data, columns)

        return read_ahead(read, fetched(self.folder, files, threads))

    def lost(self) -> list[str]:
        """What is wrong with the ledger itself, one line each: segments that are gone."""
        return [
            f"{self.folder.uri(each.key)} is gone, with the rows of {number_of(each.units, 'unit')}: "
            "bring it back from a copy, or run the job again, which does their images once more"
            for each in self.sealed().lost
        ]

    def committed(self) -> Committed:
        """What is done, over the whole ledger."""
        builder = CommittedBuilder()
        for table in self.tables(COLUMNS):
            builder.add(table)
        return builder.build()

    def _opened(self) -> tuple[list[str], Sealed]:
        """Files of units that are in no segment, and the segments.

        In this order: what is sealed after the listing is in the manifest, and no unit is missed.
        """
        files, sealed = self.unit_keys(), self.sealed()
        if files:
            inside = sealed.holds([unit_of(key) for key in files])
            files = [key for key, is_inside in zip(files, inside, strict=True) if not is_inside]
        return files, sealed

    def _since_sealed(self, key: str, columns: list[str] | None) -> pa.Table:
        """Rows of a file that went after it was listed."""
        found = self.sealed().unit(unit_of(key))
        if found is None:
            raise FileNotFoundError(self.folder.uri(key))
        return found if columns is None else found.select(columns)


def prefix_of(recipe_id: str) -> str:
    """Where the ledger of a recipe is stored, relative to the run folder."""
    return f"ledger/{recipe_id[:12]}"


def unit_of(key: str) -> str:
    """The unit whose file this is."""
    return key.rsplit("/", 1)[-1].removesuffix(".parquet")


def _is_empty(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count == len(column))


def _named(table: pa.Table, unit_id: str) -> pa.Table:
    """The table with its unit in every row: the file's name says whose rows they are."""
    place = table.schema.get_field_index("unit_id")
    if place < 0:
        return table
    return table.set_column(place, "unit_id", pa.repeat(pa.scalar(unit_id), len(table)))
