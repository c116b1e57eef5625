"""Images that stand or fall together, such as the slices of a series: found while planning, kept in one unit.

The worker checks them before any is restored: see ``pipeline.worker.series``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.doors.archive import Archive
from pipeline.formats import FORMATS
from pipeline.formats.series import HEAD_BYTES, READERS, SeriesFormat, formats_of_series
from pipeline.jobs.job import Dataset
from pipeline.planning.plan_files import SOURCES, is_planned, sources_of, table_of
from pipeline.privacy.naming import SourceLocator, columns_of
from pipeline.privacy.probing import probe
from pipeline.storage.folder import Folder
from pipeline.units import Group, Source


@cache
def _alone() -> tuple[str, ...]:
    """Endings of objects that belong to no series: nobody looks into them."""
    others = (each for each in FORMATS.values() if not isinstance(each, SeriesFormat))
    return tuple(end for each in others for end in (*each.extensions, "/"))


class SeriesIndex:
    """The groups of a dataset's objects, page by page; what the last plan knew is not read again."""

    def __init__(self, folder: Folder, locator: SourceLocator) -> None:
        table = _grouped_rows(folder, ["source_id", "group"])
        ids = np.array(table["source_id"].to_pylist(), "S32")
        order = np.argsort(ids)
        self._ids, self._groups = ids[order], np.array(table["group"].to_pylist(), "S32")[order]
        self._locator = locator

    def with_groups(self, dataset: Dataset, page: pa.Table) -> pa.Table:
        """The sources of a page, each with its group. ``StorageError`` where one cannot be looked into."""
        # Frames of one file have their scene.
        if dataset.private is None or dataset.series == "single" or dataset.is_of_pages:
            return page
        alone = pa.array([*map(_named_alone, page["key"].to_pylist(), page["at"].to_pylist())], pa.bool_())
        if pc.all(alone).as_py():  # by column: of ten million photographs nobody is to be made an object
            return page
        with ThreadPoolExecutor(READERS) as pool:
            found = list(pool.map(lambda source: self._with_group(dataset, source), sources_of(page)))
        return table_of(columns_of(found))

    def _with_group(self, dataset: Dataset, source: Source) -> Source:
        archive, at = self._locator.locate(source)
        if source.size == 0 or source.group or source.bundle or _named_alone(source.key, at):
            return source
        if known := self._known(source.source_id):
            return replace(source, group=known)
        series = _series_at(archive, at, source)
        if not series:
            return source
        return replace(source, group=self._locator.group_of(dataset, "series", dataset.name, series))

    def _known(self, source_id: str) -> str:
        place = int(np.searchsorted(self._ids, source_id.encode()))
        found = place < len(self._ids) and self._ids[place] == source_id.encode()
        return bytes(self._groups[place]).decode() if found else ""


def read_groups(folder: Folder) -> Iterator[Group]:
    """Groups of sources that stay together, whole and in order of their first source."""
    table = _grouped_rows(folder)
    if not len(table):
        return
    _, first, inverse = np.unique(
        np.array(table["group"].to_pylist(), "S32"), return_index=True, return_inverse=True
    )
    in_order = table.take(pa.array(np.argsort(first[inverse], kind="stable")))
    records = (record for batch in in_order.to_batches(4096) for record in batch.to_pylist())
    for _, members in groupby(records, key=lambda record: str(record["group"])):
        yield [Source(**record) for record in members]


def _named_alone(*names: str) -> bool:
    """By the key, which is opaque where it is private, or by what it is read by."""
    return any(each.lower().endswith(_alone()) for each in names)


def _series_at(archive: Archive, at: str, source: Source) -> str:
    """The series of one object; empty for what says none, and for what is gone: its row will say why."""
    found = probe(source, lambda: _read_head(archive, at), "to which series it belongs")
    if found is None:
        return ""
    head, whole = found
    try:
        return next((each.series_of(whole) for each in formats_of_series() if each.recognises(head)), "")
    except Exception:  # a damaged header: reading the image will say what is wrong with it
        return ""


def _read_head(archive: Archive, at: str) -> tuple[bytes, bytes]:
    """The first bytes of an object, and as many as it takes to tell its series."""
    head = archive.head(at, HEAD_BYTES)
    return head, archive.read(at) if _is_cut(head) else head


def _is_cut(head: bytes) -> bool:
    """Whether an object of a series goes on behind its first bytes, and they do not tell the series."""
    if len(head) < HEAD_BYTES:
        return False
    try:
        return any(each.recognises(head) and not each.series_of(head) for each in formats_of_series())
    except Exception:  # as above
        return False


def _grouped_rows(folder: Folder, names: list[str] | None = None) -> pa.Table:
    """Rows of the plan's sources that belong to a group; none where there is no plan yet."""
    empty = pa.table({name: pa.array([], pa.string()) for name in names or ["group"]})
    if not is_planned(folder):
        return empty
    with folder.open(SOURCES) as file:
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
