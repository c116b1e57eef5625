"""The sealed part of a ledger, as its newest manifest names it: reading segments.

Segments are sorted by unit and their row groups end where units end, so that one unit is found by the
statistics of the file and a pass holds one row group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import StorageError
from pipeline.ledger.manifest import Manifest, Segment, newest_number, read_manifest
from pipeline.storage.folder import Folder

UnitNames = Mapping[str, NDArray[np.bytes_]]
"""Names of units by the segment that they are in."""

_ROWS_FOR_THREADS = 10_000
"""Smaller row groups are read before a pool of threads would have started."""


class Sealed:
    """The segments of the ledger at a place, as they were when this was made: one listing, one file."""

    def __init__(
        self,
        folder: Folder,
        place: str,
        listed: list[str],
        manifest: Manifest,
        names: UnitNames = MappingProxyType({}),
    ) -> None:
        self.folder, self.place, self.manifest = folder, place, manifest
        self.listed = listed
        """Everything at its place: manifests, segments, and what a killed run left."""
        there = set(listed)
        self.segments = tuple(each for each in self.manifest.segments if each.key in there)
        self.lost = tuple(each for each in self.manifest.segments if each.key not in there)
        """Named, and not there any more: their images count as never done."""
        self.names = {each.key: names[each.key] for each in self.segments if each.key in names}
        """By segment its units, sorted, as far as they were read: a segment never changes."""
        named = {each.key for each in manifest.segments} | set(manifest.retired)
        self.strays = tuple(
            Segment(key, 0, 0, 0) for key in listed if key.endswith(".parquet") and key not in named
        )
        """There, and named by nobody: what a killed run left, or a manifest that is gone."""

    @classmethod
    def of(cls, folder: Folder, prefix: str, names: UnitNames = MappingProxyType({})) -> Sealed:
        """The segments that count for the ledger at ``prefix``; ``names``: of an earlier look at them.

        Raises as ``read_manifest``.
        """
        listed = folder.keys(place := place_of(prefix))
        number = newest_number(listed)
        manifest = read_manifest(folder, place, number) if number else Manifest()
        return cls(folder, place, listed, manifest, names)

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Rows in order of unit within each segment, a row group in memory."""
        for segment in self.segments:
            yield from self.tables_of(segment, columns)

    def tables_of(self, segment: Segment, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The same of one segment."""
        with self.folder.open(segment.key) as file:
            yield from self._row_groups(segment, file, columns)

    def readable_tables(self, segment: Segment) -> Iterator[pa.Table]:
        """What can be read of a segment that may be damaged: nothing, or row groups, each of whole units."""
        with self.folder.open(segment.key) as file:
            try:
                count = pq.ParquetFile(file).num_row_groups
            except (pa.ArrowInvalid, OSError):
                return
            for index in range(count):
                try:
                    yield from self._row_groups(segment, file, None, only=index)
                except StorageError:
                    continue

    def holds(self, unit_ids: list[str]) -> NDArray[np.bool_]:
        """For each unit whether it is in a segment."""
        wanted = np.array(unit_ids, "S32")
        if not len(self.unit_ids):
            return np.zeros(len(wanted), bool)
        places = np.minimum(np.searchsorted(self.unit_ids, wanted), len(self.unit_ids) - 1)
        return np.asarray(self.unit_ids[places] == wanted)

    @cached_property
    def unit_ids(self) -> NDArray[np.bytes_]:
        """All of them, sorted; read when first asked for."""
        for segment in self.segments:
            if segment.key not in self.names:
                tables = self.tables_of(segment, ["unit_id"])
                names = [np.array(table["unit_id"].unique().to_pylist(), "S32") for table in tables]
                self.names[segment.key] = np.unique(np.concatenate([np.empty(0, "S32"), *names]))
        return np.unique(np.concatenate([np.empty(0, "S32"), *self.names.values()]))

    def unit(self, unit_id: str) -> pa.Table | None:
        """The rows of one unit, or ``None`` where no segment has it."""
        if not self.holds([unit_id])[0]:
            return None
        for segment in self.segments:
            with self.folder.open(segment.key) as file:
                for table in self._row_groups(segment, file, None, unit_id):
                    found = table.filter(pc.equal(table["unit_id"], unit_id))
                    if len(found):
                        return found
        return None

    def _row_groups(
        self,
        segment: Segment,
        file: object,
        columns: list[str] | None,
        unit_id: str | None = None,
        only: int | None = None,
    ) -> Iterator[pa.Table]:
        try:
            # Not read_table, which would import pyarrow.dataset and, where it is installed, pandas.
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            place = parquet.schema_arrow.get_field_index("unit_id")
            for index in range(parquet.num_row_groups) if only is None else (only,):
                group = parquet.metadata.row_group(index)
                statistics = group.column(place).statistics
                if unit_id is None or statistics.min <= unit_id <= statistics.max:
                    many = group.num_rows > _ROWS_FOR_THREADS
                    yield parquet.read_row_group(index, columns, use_threads=many)
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the store's fault; Arrow's own errors about a file's content have no number
            raise StorageError(
                f"{self.folder.uri(segment.key)}: not a whole segment of the ledger; bring it back from a "
                "copy, or run restora repair, which keeps what can be read and does the rest once more"
            ) from error


def place_of(prefix: str) -> str:
    """Where the segments of the ledger at ``prefix`` are: beside it."""
    return f"{prefix}-sealed"
