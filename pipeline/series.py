"""Images that stand or fall together, such as the slices of a series: found while planning, kept in one
unit, checked before any is restored, and quarantined as a whole where one of them fails.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.formats.base import Format
from pipeline.hashing import short_hash
from pipeline.ledger import OK, QUARANTINED, Row
from pipeline.storage import Folder

if TYPE_CHECKING:
    from pipeline.jobs import Dataset
    from pipeline.layout import Layout
    from pipeline.plan import Source, Unit
    from pipeline.privacy_key import PrivacyKey

HEAD_BYTES = 1 << 16
"""Of every object that may belong to a series; the few with longer headers are read as a whole."""
READERS = 16

ReadHead = Callable[["Source"], bytes]


@runtime_checkable
class SeriesFormat(Format, Protocol):
    """A format whose objects say to which series they belong."""

    def series_of(self, head: bytes) -> str:
        """The name of the series out of an object's first bytes; empty where they do not tell it."""
        ...

    def ends_in(self, head: bytes) -> bool:
        """Whether an object's first bytes hold its whole header."""
        ...

    def check_series(self, heads: Sequence[bytes]) -> None:
        """``ImageError`` where the images with these headers contradict each other."""
        ...


FORMATS_OF_SERIES = tuple(each for each in FORMATS.values() if isinstance(each, SeriesFormat))
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


def check(unit: Unit, policies: Mapping[str, str], read: ReadHead) -> dict[str, ImageError]:
    """Group -> what is wrong with its series as a whole, before any image of it is restored.

    ``policies`` says for every dataset how its series are to be taken: ``Dataset.series``.
    """
    faults: dict[str, ImageError] = {}
    for group, members in _members(unit).items():
        if len(members) > 1 and policies[members[0].dataset] == "stack":
            try:
                with ThreadPoolExecutor(READERS) as pool:
                    heads = list(pool.map(read, members))
                _check_stack(heads)
            except ImageError as error:
                faults[group] = error
            except Exception:  # the store's: reading the image itself will say it
                continue
    return faults


def whole_head(folder: Folder, key: str) -> bytes:
    """An object's bytes up to its pixels, or all of it. Raises what the store raises."""
    head = folder.head(key, HEAD_BYTES)
    if len(head) < HEAD_BYTES or any(each.ends_in(head) for each in FORMATS_OF_SERIES):
        return head
    return folder.read(key)


def settled(rows: list[Row], unit: Unit, layout: Layout) -> list[Row]:
    """The rows of a unit, every series either ok as a whole or quarantined as a whole.

    Objects of a series that failed are removed from the store, also those of an earlier attempt.
    """
    groups = {each.source_id: each.group for each in unit.sources if each.group}
    failed: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["status"] != OK and row["source_id"] in groups:
            failed[groups[row["source_id"]], row["degradation"], row["restorer"]].append(row)
    if not failed:
        return rows
    sizes = {group: len(members) for group, members in _members(unit).items()}
    sources = {each.source_id: each for each in unit.sources}
    after: list[Row] = []
    fallen: list[Row] = []
    for row in rows:
        group = groups.get(row["source_id"], "")
        if culprits := failed.get((group, row["degradation"], row["restorer"])):
            row = row | _incomplete(culprits, sizes[group]) if row["status"] == OK else row
            fallen.append(row)
        after.append(row)
    kept = {(row["source_id"], row["degradation"]) for row in after if row["status"] == OK}
    for row in fallen:
        key = row["source_id"], row["degradation"]
        _remove_objects(sources[row["source_id"]], row, layout, degraded=key not in kept)
    return after


def _incomplete(culprits: list[Row], images: int) -> Row:
    """What becomes of a row that was ok; its scores stay, as of an image that cannot be stored."""
    reasons = sorted({str(each["reason"]) for each in culprits})
    return {
        "status": QUARANTINED,
        "reason": "SERIES_INCOMPLETE",
        "stage": "series",
        "message": f"{' and '.join(reasons)} in {len(culprits)} of {images} images of the series; mend or "
        'remove them, or write series = "single" in the dataset',
        **dict.fromkeys(("output_uri", "output_sha256", "output_bytes")),
        **dict.fromkeys(("degraded_uri", "degraded_sha256", "degraded_bytes")),
    }


def _remove_objects(source: Source, row: Row, layout: Layout, *, degraded: bool) -> None:
    for each in FORMATS_OF_SERIES:
        if layout.keeps_restored:
            key = layout.restored(source, row["degradation"], row["restorer"], each.extensions)
            layout.folder.delete(key)
        if layout.keeps_degraded and degraded:
            layout.folder.delete(layout.degraded(source, row["degradation"], each.extensions))


def _members(unit: Unit) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = defaultdict(list)
    for source in unit.sources:
        if source.group:
            found[source.group].append(source)
    return found


def _check_stack(heads: list[bytes]) -> None:
    for each in FORMATS_OF_SERIES:
        if all(each.recognises(head) for head in heads):
            each.check_series(heads)
            return
    raise ImageError("SERIES_INCONSISTENT", "images of several formats")


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
