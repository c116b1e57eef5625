"""A catalogue as an archive: every item an image, out of one asset or of several as its bands."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, Any

from pipeline.doors.stac.bands import stacked
from pipeline.doors.stac.filters import ItemFilter
from pipeline.doors.stac.handfuls import THREADS, mapped
from pipeline.doors.stac.item import StacImage, image_of
from pipeline.doors.stac.places import Places
from pipeline.doors.stac.walking import CatalogueWalk, Found
from pipeline.errors import FolderNotFound, JobError, StorageError, describe
from pipeline.hashing import canonical_json, short_hash
from pipeline.imaging.said_band import SaidBand
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.stores import StacStore
from pipeline.storage import folder as storage
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder, absolute_url
from pipeline.storage.patterns import matcher

TWICE = "items that are linked twice"
"""What a listing leaves out and counts."""
Listed = tuple[StacImage, Mapping[str, Any]]
"""An image, and its item."""


class StacArchive:
    """The items that a catalogue leads to and a job wants."""

    def __init__(self, dataset: Dataset, url: str) -> None:
        self._store = dataset.store if isinstance(dataset.store, StacStore) else StacStore(name="stac")
        self._entrance = absolute_url(url)
        self._root = Folder(self._entrance.rpartition("/")[0] or "/", dataset.profile)
        self._places, self._filter = Places(self._root), ItemFilter(self._store)
        self._where = f'the catalogue of dataset "{dataset.name}"' if dataset.private else url
        self._is_private = bool(dataset.private)

    @property
    def url(self) -> str:
        """Of the folder that the entrance is in."""
        return self._root.url

    def pages(self, pattern: str = "*", left_out: Counter[str] | None = None) -> Iterator[list[Entry]]:
        """Items in the order of the catalogue's links."""
        counts: Counter[str] = Counter() if left_out is None else left_out
        matches = None if pattern == "*" else matcher(pattern)
        entries = (each for each in self._entries(counts) if matches is None or matches(each.key))
        while page := list(islice(entries, storage.PAGE)):
            yield page

    def _entries(self, left_out: Counter[str]) -> Iterator[Entry]:
        seen: dict[int, int] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            listed = self._listed(left_out)
            entries = mapped(pool, self._entry, listed) if self._store.look_up else map(self._entry, listed)
            for entry in entries:
                place, version = hash(entry.key), hash(entry.version)
                if place not in seen:
                    seen[place] = version
                    yield entry
                elif seen[place] == version:
                    left_out[TWICE] += 1
                else:
                    seen[place + version] = version
                    yield _another(entry)

    def _listed(self, left_out: Counter[str]) -> Iterator[Listed]:
        try:
            for found in CatalogueWalk(self._places, self._store.collections, left_out).items(self._entrance):
                if found.item is None:
                    yield self._broken(found), {}
                elif reason := self._filter.left_out(found.item):
                    left_out[reason] += 1
                else:
                    image = image_of(found.item, found.address, self._store.assets, self._key(found))
                    yield image, found.item
        except JobError:
            if not self._is_private:
                raise
            raise JobError(f"{self._where}: is no STAC, is damaged, or has items of several images") from None
        except StorageError:
            raise
        except Exception as error:  # botocore and friends do not derive from OSError
            kind = FolderNotFound if isinstance(error, FileNotFoundError) else StorageError
            told = type(error).__name__ if self._is_private else describe(error)
            raise kind(f"cannot list {self._where}: {told}") from error

    def _key(self, found: Found) -> str:
        """Of what has no name of its own; an ending of words would say that it is no image."""
        key = self._places.relative(found.address).removesuffix(".json")
        return f"{key}/item {found.number}" if found.number else key

    def _broken(self, found: Found) -> StacImage:
        assert found.fault is not None
        return StacImage(self._key(found), found.address, reason=found.fault.reason, why=str(found.fault))

    def _entry(self, listed: Listed) -> Entry:
        image, item = listed
        told = {name: value for name, value in item.items() if name != "links"}
        try:
            version = short_hash(canonical_json(told), image.item if image.reason else "")
        except ValueError:  # a number that is none
            image = StacImage(
                image.key, image.item, reason="BAD_ITEM", why="it holds NaN or infinite numbers"
            )
            version = short_hash(image.key)
        size = -1
        for name, address in image.assets:
            size, known = self._asset(item["assets"][name], address)
            version = short_hash(version, known) if known else version
        return Entry(image.key, size if len(image.assets) == 1 else -1, version, at=image.text)

    def _asset(self, asset: Mapping[str, Any], address: str) -> tuple[int, str]:
        """Its size, and what the store says of its version where the item does not."""
        size = asset.get("file:size")
        known = size if isinstance(size, int) else -1
        if not self._store.look_up or (known >= 0 and asset.get("file:checksum")):
            return known, ""
        folder, key = self._places.at(address)
        try:
            now = folder.entry(key)
        except Exception:  # reading will say what is wrong
            return known, "not there"
        return now.size, now.version

    def uri(self, at: str) -> str:
        """Of its asset; the item's where it has several."""
        image = StacImage.of(at)
        if len(image.assets) == 1:
            return image.assets[0][1]
        return f"{image.item}#{'+'.join(name for name, _ in image.assets)}" if image.assets else image.item

    def read(self, at: str) -> bytes:
        """The asset as it is; several as a GeoTIFF of their bands."""
        image = StacImage.of(at)
        image.refuse()
        if len(image.assets) == 1:
            folder, key = self._places.at(image.assets[0][1])
            return folder.read(key)
        return stacked([(name, self._places.at(address), said) for name, address, said in image.bands])

    def said(self, at: str) -> tuple[SaidBand, ...]:
        """Of the bands of its asset; bands of several have it in the file that ``read`` makes."""
        image = StacImage.of(at)
        return image.said[0] if len(image.said) == 1 else ()

    def head(self, at: str, length: int) -> bytes:
        """First bytes of its asset; of bands, of the whole."""
        place = self.place(at)
        return self.read(at)[:length] if place is None else place[0].head(place[1], length)

    def open(self, at: str) -> IO[bytes]:
        """Its asset; bands in memory."""
        place = self.place(at)
        return io.BytesIO(self.read(at)) if place is None else place[0].open(place[1])

    def place(self, at: str) -> tuple[Folder, str] | None:
        """Of its asset, if it is one."""
        image = StacImage.of(at)
        return self._places.at(image.assets[0][1]) if len(image.assets) == 1 else None

    def entry(self, at: str) -> Entry:
        """Without a version: that is the item's."""
        image = StacImage.of(at)
        if len(image.assets) != 1:
            return Entry(image.key, -1, "", at=at)
        folder, key = self._places.at(image.assets[0][1])
        return Entry(image.key, folder.entry(key).size, "", at=at)


def _another(entry: Entry) -> Entry:
    """A second item of the same name, which cannot have the same place in the output."""
    image = StacImage.of(entry.at)
    key = f"{image.key} ({entry.version[:8]})"
    again = StacImage(key, image.item, reason="BAD_ITEM", why="another item of the catalogue has the same id")
    return Entry(key, -1, entry.version, at=again.text)
