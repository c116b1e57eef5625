"""What the last plan knew: an object that is listed as it was then is not named anew.

Names are hashes, one after the other; comparing is done by column. The listing is merged with the rows of
``plan/sources.parquet``, page by page, wherever keys came or went between. Only a plan that was finished, of
the same job, is believed: it left a note beside its file, with a token that the file holds too.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.hashing import canonical_json, sha256_hex
from pipeline.jobs.job import Dataset
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import (
    SOURCES,
    SOURCES_SCHEMA,
    TOKEN_KEY,
    read_batches,
    read_pages,
    read_source_ids,
)
from pipeline.privacy.naming import SourceLocator
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch
from pipeline.version import code_version

NOTE = "plan/listing.json"
WINDOW = 40_000
"""Rows of the last plan that are looked through for the objects of a page."""
_COMPARED = ("size", "version", "attached", "at")


@dataclass(frozen=True)
class Page:
    """A page of the listing as rows of the plan."""

    rows: pa.Table
    places: NDArray[np.intp]
    """Of those of them that the last plan did not know."""

    @property
    def new(self) -> int:
        """How many it did not know."""
        return len(self.places)

    def first(self, count: int) -> Page:
        """The same of the first so many."""
        return Page(self.rows.slice(0, count), self.places[self.places < count])


@dataclass(frozen=True)
class Note:
    """What a plan that was finished says of itself."""

    token: str
    """In the metadata of its sources, too."""
    state: str
    """What names depend on beside the listing."""
    ids: str
    """SHA-256 of the identities of its sources, sorted."""
    removed: int
    """Committed sources that it did not list."""


def read_note(folder: Folder) -> Note | None:
    """Of the last plan; ``None`` where it was not finished."""
    try:
        return Note(**json.loads(folder.read(NOTE)))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def digest_of_sources(folder: Folder) -> str:
    """SHA-256 of the identities of the last plan's sources, sorted; ``JobError`` where there is no plan."""
    note = read_note(folder)
    return note.ids if note is not None else sha256_hex(read_source_ids(folder).tobytes())


class LastPlan:
    """The sources of the last plan, on this machine for as long as they are asked for."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self.state = run, _state_of(run)
        self._stack = ExitStack()
        self.note: Note | None = None
        """Of a plan that can be believed."""
        self.count = 0
        self._order = {each.name: place for place, each in enumerate(run.job.datasets)}
        self._believed: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None

    def __enter__(self) -> LastPlan:
        self.place = self._stack.enter_context(scratch("plans"))
        self.folder = Folder(str(self.place / "last"))
        """Its sources are here, under their key; nothing where there are none."""
        path = self.place / "last" / SOURCES
        path.parent.mkdir(parents=True)
        try:
            self._run.folder.fetch(SOURCES, path)
            metadata = pq.ParquetFile(path).metadata
        except (FileNotFoundError, pa.ArrowInvalid):
            path.unlink(missing_ok=True)
            return self
        self.count = metadata.num_rows
        token, note = (metadata.metadata or {}).get(TOKEN_KEY, b"").decode(), read_note(self._run.folder)
        if note is not None and (note.token, note.state) == (token, self.state):
            self.note, self._believed = note, read_pages(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows, whether or not it can be believed."""
        return read_batches(self.folder, columns=columns) if self.count else iter(())

    def rows_of(self, dataset: str) -> Iterator[pa.RecordBatch]:
        """Its rows of a dataset, where it can be believed; asked for in the order of the job."""
        mine = self._order[dataset]
        while (batch := self._rest or next(self._believed, None)) is not None:
            self._rest = None
            if self._order[batch["dataset"][0].as_py()] > mine:
                self._rest = batch  # of a dataset that comes after
                return
            of_it = pc.equal(batch["dataset"], dataset)
            last = pc.sum(of_it).as_py()
            if self._order[batch["dataset"][len(batch) - 1].as_py()] > mine:
                others = pc.index(of_it, True).as_py()
                self._rest = batch.slice(max(others, 0) + last) if last else batch
            if last:
                yield batch.filter(of_it)
            if self._rest is not None:
                return


def new_token() -> str:
    """Of one plan."""
    return uuid.uuid4().hex


def write_note(folder: Folder, note: Note) -> None:
    """This plan is finished."""
    folder.put(NOTE, json.dumps(asdict(note)).encode())


def _state_of(run: RunFolder) -> str:
    return sha256_hex(canonical_json([run.job.shown(), run.root.url, code_version()]).encode())


class KnownSources:
    """``page(entries)`` names the entries of a dataset, page by page, in the order of the listing."""

    def __init__(self, dataset: Dataset, locator: SourceLocator, last: Iterator[pa.RecordBatch]) -> None:
        self._dataset, self._locator, self._last = dataset, locator, last
        self._window = SOURCES_SCHEMA.empty_table()

    def page(self, entries: Entries) -> tuple[pa.Table, NDArray[np.intp]]:
        """Rows of entries that are known, and the places of those that are not."""
        if not len(self._window) and not self._read_on():
            return SOURCES_SCHEMA.empty_table(), np.arange(len(entries))
        listed = _as_columns(entries)
        places = self._places(listed["key"].combine_chunks())
        rows = _taken(self._window, places) if len(self._window) else None
        known = np.zeros(len(entries), bool) if rows is None else _same(listed, rows) & (places >= 0)
        if rows is None or not known.any() or not self._is_named_so(entries, rows, known):
            return SOURCES_SCHEMA.empty_table(), np.arange(len(entries))
        self._window = self._window.slice(int(places.max()) + 1)
        return rows if known.all() else rows.filter(pa.array(known)), np.flatnonzero(~known)

    def _places(self, keys: pa.Array) -> NDArray[np.int64]:
        """Where each key is in the window, which is moved on as far as it has to be; -1 where it is not."""
        if len(self._window) and self._window["key"][0] != keys[0]:
            self._window = self._window.filter(pc.greater_equal(self._window["key"], keys[0]))
        while True:
            while len(self._window) < len(keys) and self._read_on():
                pass
            if self._window["key"].slice(0, len(keys)).equals(pa.chunked_array([keys])):
                return np.arange(len(keys), dtype=np.int64)  # as in most pages
            places = pc.index_in(keys, self._window["key"].combine_chunks()).fill_null(-1).to_numpy()
            seen = len(self._window) and self._window["key"][-1].as_py() >= keys[-1].as_py()
            if (places >= 0).all() or seen or len(self._window) >= WINDOW or not self._read_on():
                return np.asarray(places, np.int64)

    def _read_on(self) -> bool:
        more = next(self._last, None)
        if more is not None:
            self._window = pa.concat_tables([self._window, pa.Table.from_batches([more])])
        return more is not None

    def _is_named_so(self, entries: Entries, rows: pa.Table, known: NDArray[np.bool_]) -> bool:
        """Whether one of them would have the same name today: the archive may be somewhere else now."""
        place = int(np.flatnonzero(known)[0])
        named: str = rows["source_id"][place].as_py()
        return self._locator.identify(self._dataset, entries[place]).source_id == named


def _taken(rows: pa.Table, places: NDArray[np.int64]) -> pa.Table:
    """Rows at these places, and any for a place that is -1."""
    if np.array_equal(places, np.arange(len(places))):
        return rows.slice(0, len(places))
    return rows.take(pa.array(np.maximum(places, 0)))


def merged(known: pa.Table, places: NDArray[np.intp], new: pa.Table) -> Page:
    """Known rows and new ones, which are at these places, in one order."""
    if not len(known) or not len(new):
        return Page(known if len(known) else new, places)
    count = len(known) + len(new)
    order = np.empty(count, np.int64)
    others = np.ones(count, bool)
    others[places] = False
    order[others], order[places] = np.arange(len(known)), np.arange(len(known), count)
    return Page(pa.concat_tables([known, new]).take(pa.array(order)), places)


def _as_columns(entries: Entries) -> pa.Table:
    columns = {name: _column(entries, name) for name in ("key", *_COMPARED)}
    together = [column for name in ("group", "bundle") if (column := entries.given(name)) is not None]
    alone = pa.repeat(pa.scalar(True), len(entries))
    if together:
        alone = pa.array([not any(each) for each in zip(*together, strict=True)])
    return pa.table(columns | {"alone": alone})


def _column(entries: Entries, name: str) -> pa.Array:
    found = entries.given(name)
    return pa.repeat(pa.scalar(""), len(entries)) if found is None else pa.array(found)


def _same(listed: pa.Table, rows: pa.Table) -> NDArray[np.bool_]:
    """Entries that are in a group or a bundle are named anew: their rows hold hashes of those."""
    same = pc.and_(listed["alone"], pc.equal(rows["group"], ""))
    for name in _COMPARED:
        same = pc.and_(same, pc.equal(listed[name], rows[name]))
    return np.asarray(same.to_numpy(zero_copy_only=False), bool)
