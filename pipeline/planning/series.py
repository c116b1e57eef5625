"""Images that stand or fall together, such as the slices of a series: found while planning, kept in one
unit, checked before any is restored, and quarantined as a whole where one of them fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.formats import FORMATS
from pipeline.formats.series import FORMATS_OF_SERIES, HEAD_BYTES, READERS, SeriesFormat
from pipeline.hashing import short_hash
from pipeline.storage.folder import Folder

if TYPE_CHECKING:
    from pipeline.jobs.job import Dataset
    from pipeline.privacy.key import PrivacyKey
    from pipeline.units import Source


_ALONE = tuple(
    end for each in FORMATS.values() if not isinstance(each, SeriesFormat) for end in (*each.extensions, "/")
)
"""Endings of objects that belong to no series: nobody looks into them."""


class Planned:
    """The groups of a dataset's objects, page by page; what the last plan knew is not read again."""

    def __init__(self, books: Folder, plan: str) -> None:
        table = _columns(books, plan, ["source_id", "group"])
        ids = np.array(table["source_id"].to_pylist(), "S32")
        order = np.argsort(ids)
        self._ids, self._groups = ids[order], np.array(table["group"].to_pylist(), "S32")[order]

    def grouped(
        self, dataset: Dataset, folder: Folder, key: PrivacyKey | None, page: list[tuple[str, Source]]
    ) -> list[Source]:
        """The sources of a page, given with the keys of their objects, each with its group."""
        if dataset.private is None or dataset.series == "single":
            return [source for _, source in page]
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(lambda each: self._grouped(dataset, folder, key, *each), page))

    def _grouped(
        self, dataset: Dataset, folder: Folder, key: PrivacyKey | None, real_key: str, source: Source
    ) -> Source:
        if source.size == 0 or real_key.lower().endswith(_ALONE):
            return source
        if known := self._known(source.source_id):
            return replace(source, group=known)
        series = _series_at(folder, real_key)
        if not series:
            return source
        # Keyed, because a UID is a name that other archives know too.
        group = (key.id_of if key else short_hash)("series", dataset.name, series)
        return replace(source, group=group)

    def _known(self, source_id: str) -> str:
        place = int(np.searchsorted(self._ids, source_id.encode()))
        found = place < len(self._ids) and self._ids[place] == source_id.encode()
        return bytes(self._groups[place]).decode() if found else ""


def families(books: Folder, plan: str, of: Callable[[dict[str, Any]], Source]) -> Iterator[list[Source]]:
    """Groups of sources that stay together, whole and in order of their first source."""
    table = _columns(books, plan)
    if not len(table):
        return
    _, first, inverse = np.unique(
        np.array(table["group"].to_pylist(), "S32"), return_index=True, return_inverse=True
    )
    in_order = table.take(pa.array(np.argsort(first[inverse], kind="stable")))
    records = (record for batch in in_order.to_batches(4096) for record in batch.to_pylist())
    for _, family in groupby(records, key=lambda record: str(record["group"])):
        yield [of(record) for record in family]


def _series_at(folder: Folder, key: str) -> str:
    """The series of one object; empty where it cannot be read: its own row will say why."""
    try:
        head = folder.head(key, HEAD_BYTES)
        for each in FORMATS_OF_SERIES:
            if each.recognises(head):
                found = each.series_of(head)
                return found or (each.series_of(folder.read(key)) if len(head) == HEAD_BYTES else "")
    except Exception:
        return ""
    return ""


def _columns(books: Folder, plan: str, names: list[str] | None = None) -> pa.Table:
    """Rows of the plan's sources that belong to a group; none where there is no plan yet."""
    empty = pa.table({name: pa.array([], pa.string()) for name in names or ["group"]})
    if not books.exists(plan):
        return empty
    with books.open(plan) as file:
        parquet = pq.ParquetFile(file)
        place = parquet.schema_arrow.get_field_index("group")
        parts = [
            index
            for index in range(parquet.num_row_groups)
            if place >= 0 and _has_groups(parquet, index, place)
        ]
        if not parts:
            return empty
        batches = parquet.iter_batches(row_groups=parts, columns=names)
        return pa.Table.from_batches([batch.filter(pc.not_equal(batch["group"], "")) for batch in batches])


def _has_groups(parquet: pq.ParquetFile, index: int, place: int) -> bool:
    """By the statistics of the file: an archive of photographs is not read to learn that it has none."""
    statistics = parquet.metadata.row_group(index).column(place).statistics
    return statistics is None or not statistics.has_min_max or statistics.max != ""
