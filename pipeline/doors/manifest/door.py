"""Manifests: a table says which images there are, so that nothing is listed. A row is an image."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa

from pipeline.doors.archive import Archive
from pipeline.doors.base import Door
from pipeline.doors.manifest.columns import Columns
from pipeline.doors.manifest.inventory import INVENTORY, read_inventory
from pipeline.doors.manifest.inventory_rows import inventory_entries
from pipeline.doors.manifest.place import key_of, place_of
from pipeline.doors.manifest.rows import Rows
from pipeline.doors.manifest.tables import opened
from pipeline.errors import FolderNotFound, JobError, StorageError, describe
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.stores import ManifestStore, is_manifest
from pipeline.storage import folder as storage
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries
from pipeline.storage.folder import Folder, absolute_url
from pipeline.storage.patterns import matcher
from pipeline.wording import number_of

Pages = Iterator[Entries]


class ManifestArchive:
    """The images that a table lists, wherever they are."""

    def __init__(self, dataset: Dataset, url: str) -> None:
        self._dataset = dataset
        self._store = (
            dataset.store if isinstance(dataset.store, ManifestStore) else ManifestStore(name="manifest")
        )
        self._folder, self._key = place_of(absolute_url(url), dataset.profile)
        self._where = f'dataset "{dataset.name}": the manifest' if dataset.private else url

    @property
    def url(self) -> str:
        """Of the base, where the job names one: a list may lie elsewhere tomorrow."""
        return absolute_url(self._store.base) if self._store.base is not None else ""

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Pages:
        """Rows in the order of the table. ``JobError`` names the row that is wrong, or is there twice."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches = None if pattern == "*" else matcher(pattern)
        hashes = array("q")  # 8 bytes a row, so that ten million fit
        for page in self._read(counts):
            hashes.extend(map(hash, page.keys))
            chosen = page if matches is None else page.chosen([matches(key) for key in page.keys])
            if chosen:
                yield chosen
        self._refuse_twice(hashes)

    def _read(self, left_out: Counter[str]) -> Pages:
        try:
            yield from self._inventory(left_out) if self._key.endswith(INVENTORY) else self._table()
        except (JobError, StorageError):
            raise
        except pa.ArrowInvalid as error:
            raise JobError(
                f"{self._where}: cannot be read as a table: {self._told(error)}; every row needs the same "
                "fields of the same kind, and null or nothing where it has no value"
            ) from error
        except Exception as error:  # botocore and friends do not derive from OSError
            kind = FolderNotFound if isinstance(error, FileNotFoundError) else StorageError
            raise kind(f"cannot list {self._where}: {self._told(error)}") from error

    def _told(self, error: Exception) -> str:
        return type(error).__name__ if self._dataset.private else describe(error)

    def _table(self) -> Pages:
        with opened(self._folder, self._key) as table:
            columns = Columns.of(table.names, self._store.columns, self._dataset.carry, self._where)
            rows = Rows(columns, self._base, self.url, self._where)
            first = 1
            for batch in table.batches(columns.wanted):
                for start in range(0, len(batch), storage.PAGE):
                    yield rows.entries(batch.slice(start, storage.PAGE), first + start)
                first += len(batch)

    def _inventory(self, left_out: Counter[str]) -> Pages:
        if self._dataset.carry or self._store.columns:
            raise JobError(f"{self._where}: an inventory has columns of its own; leave out carry and columns")
        inventory = read_inventory(self._folder, self._key, self._where)
        for folder, key in inventory.files:
            with opened(folder, key, inventory.header) as table:
                yield from inventory_entries(inventory, table, left_out, self._where)

    @property
    def _base(self) -> str:
        """What addresses without a scheme are below."""
        return self.url or self._folder.url

    def _refuse_twice(self, hashes: array[int]) -> None:
        found = np.array(hashes, np.int64)
        if not (np.diff(np.sort(found)) == 0).any():
            return
        order = np.argsort(found, kind="stable")
        twice = np.flatnonzero(np.diff(found[order]) == 0)
        at = twice[np.argmin(order[twice])]
        first, second = (int(order[at + step]) + 1 for step in (0, 1))
        more = f", and {number_of(len(twice) - 1, 'other row')} too" if len(twice) > 1 else ""
        raise JobError(
            f"{self._where}: rows {first:,} and {second:,} name one image{more}; give each image once"
        )

    def uri(self, at: str) -> str:
        """The address itself."""
        return at

    def read(self, at: str) -> bytes:
        """The object at the address."""
        folder, key = place_of(at, self._dataset.profile)
        return folder.read(key)

    def head(self, at: str, length: int) -> bytes:
        """Its first bytes."""
        folder, key = place_of(at, self._dataset.profile)
        return folder.head(key, length)

    def open(self, at: str) -> IO[bytes]:
        """The object as a file."""
        folder, key = place_of(at, self._dataset.profile)
        return folder.open(key)

    def place(self, at: str) -> tuple[Folder, str] | None:
        """Where it is stored."""
        return place_of(at, self._dataset.profile)

    def entry(self, at: str) -> Entry:
        """Without a version: what a table calls one is not what the store does."""
        folder, key = place_of(at, self._dataset.profile)
        below = at.removeprefix(f"{self._base}/")
        return Entry(below if below != at else key_of(at), folder.entry(key).size, "", at=at)


def _open(dataset: Dataset, url: str) -> Archive:
    return ManifestArchive(dataset, url)


MANIFEST = Door(
    name="manifest",
    summary="a table that lists images: Parquet, CSV, JSON lines, S3 Inventory, Storage Insights",
    claims=is_manifest,
    open=_open,
)
