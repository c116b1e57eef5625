"""The items of a catalogue, wherever its links lead: each once, in bounded memory, with what is broken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.doors.stac.geoparquet import is_geoparquet, rows_of
from pipeline.doors.stac.handfuls import THREADS, mapped
from pipeline.doors.stac.hrefs import resolved
from pipeline.doors.stac.json_stream import read_object
from pipeline.doors.stac.places import Places
from pipeline.errors import ImageError, JobError, describe

LOOPS = "links to catalogues that were read before"
"""What a listing leaves out and counts."""


@dataclass(frozen=True)
class Found:
    """An item at an address, or why there is none."""

    address: str
    item: dict[str, Any] | None = None
    fault: ImageError | None = None
    number: int = 0
    """Which of the items in one file, from 1."""


class CatalogueWalk:
    """``items(url)`` of a static catalogue, an ItemCollection, one item, or a stac-geoparquet file."""

    def __init__(self, places: Places, collections: tuple[str, ...], left_out: Counter[str]) -> None:
        self._places, self._collections, self._left_out = places, frozenset(collections), left_out
        self._seen: set[int] = set()

    def items(self, url: str) -> Iterator[Found]:
        """Raises what the store raises for the entrance, ``JobError`` where it is nothing of the kind."""
        if is_geoparquet(url):
            folder, key = self._places.at(url)
            for number, (address, item) in enumerate(rows_of(folder, key), 1):
                yield Found(address, item, number=number)
            return
        fields: dict[str, Any] = {}
        yield from self._features(url, fields)
        if fields.get("type") == "FeatureCollection":
            yield from self._next_pages(url, fields)
        elif fields.get("type") == "Feature":
            yield Found(url, fields)
        else:
            _check_catalogue(url, fields)
            self._seen.add(hash(url))
            with ThreadPoolExecutor(THREADS) as pool:
                yield from self._walked(url, fields, pool)

    def _features(self, url: str, fields: dict[str, Any]) -> Iterator[Found]:
        folder, key = self._places.at(url)
        try:
            with folder.open(key) as file:
                for number, feature in enumerate(read_object(file, fields), 1):
                    if isinstance(feature, dict):
                        yield Found(url, feature, number=number)
                    else:
                        yield Found(url, fault=_NO_ITEM, number=number)
        except (ValueError, RecursionError) as error:
            raise JobError(f"{url}: cannot be read as STAC: {error}") from None

    def _next_pages(self, url: str, fields: dict[str, Any]) -> Iterator[Found]:
        """Those of an answer that was saved in parts."""
        pages = {url}
        while (link := next(_links(fields, "next"), None)) is not None:
            if str(link.get("method", "GET")).upper() != "GET":
                raise JobError(
                    f"{url}: has a next page that only a POST gives; save the whole answer in one file"
                )
            try:
                url = resolved(url, link.get("href"))
            except ImageError as error:
                raise JobError(f"the next page of {url}: {error}") from None
            if url in pages:
                self._left_out[LOOPS] += 1
                return
            pages.add(url)
            fields = {}
            yield from self._features(url, fields)

    def _walked(self, url: str, fields: dict[str, Any], pool: ThreadPoolExecutor) -> Iterator[Found]:
        waiting = [(url, fields)]
        while waiting:
            address, catalogue = waiting.pop()
            yield from self._items_of(address, catalogue, pool)
            for found in mapped(pool, self._read, self._children(address, catalogue)):
                if found.item is None:
                    yield found
                else:
                    waiting.append((found.address, found.item))

    def _items_of(self, address: str, catalogue: dict[str, Any], pool: ThreadPoolExecutor) -> Iterator[Found]:
        is_other = catalogue.get("type") == "Collection" and catalogue.get("id") not in self._collections
        if self._collections and is_other:
            return
        yield from mapped(pool, self._read, _addresses(address, _links(catalogue, "item")))

    def _children(self, address: str, catalogue: dict[str, Any]) -> Iterator[str | Found]:
        for each in _addresses(address, _links(catalogue, "child")):
            if isinstance(each, Found) or hash(each) not in self._seen:
                self._seen.add(hash(each))
                yield each
            else:
                self._left_out[LOOPS] += 1

    def _read(self, address: str | Found) -> Found:
        if isinstance(address, Found):
            return address
        try:
            folder, key = self._places.at(address)
            item = json.loads(folder.read(key))
        except FileNotFoundError:
            return Found(
                address, fault=ImageError("NOT_FOUND", "the catalogue links to it, and it is not there")
            )
        except (ValueError, RecursionError):
            return Found(address, fault=_NO_ITEM)
        except Exception as error:  # stores raise whatever their client raises
            return Found(address, fault=ImageError("READ_FAILED", describe(error)))
        return Found(address, item) if isinstance(item, dict) else Found(address, fault=_NO_ITEM)


_NO_ITEM = ImageError("BAD_ITEM", "what the catalogue links to is no JSON object")


def _links(fields: dict[str, Any], relation: str) -> Iterator[dict[str, Any]]:
    links = fields.get("links")
    for each in links if isinstance(links, list) else ():
        if isinstance(each, dict) and each.get("rel") == relation:
            yield each


def _addresses(base: str, links: Iterable[dict[str, Any]]) -> Iterator[str | Found]:
    for place, each in enumerate(links):
        try:
            yield resolved(base, each.get("href"))
        except ImageError as error:
            yield Found(f"{base.removesuffix('.json')}/link {place + 1}", fault=error)


def _check_catalogue(url: str, fields: dict[str, Any]) -> None:
    if "stac_version" not in fields or not isinstance(fields.get("links"), list):
        raise JobError(f"{url}: is no STAC catalogue, collection, item or ItemCollection")
    relations = {each.get("rel") for each in fields["links"] if isinstance(each, dict)}
    if not relations & {"item", "child"} and relations & {"items", "search", "data"}:
        raise JobError(
            f"{url}: is the entrance of an API and lists no items itself; save the answer of a search as an "
            "ItemCollection, and give that file"
        )
