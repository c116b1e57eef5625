"""What fsspec says of the objects of a folder, a dictionary each, by column.

Ten million pass through here one after the other: what stores mostly answer is looked at in one go, and an
object for itself only where one of its folder is unusual.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from pipeline.storage.entries import Entries

Details = dict[str, Any]

_NAME, _KIND, _SIZE, _TAG = map(itemgetter, ("name", "type", "size", "ETag"))


class Level:
    """The objects and folders of a folder, in order of key: a folder comes where its objects belong."""

    def __init__(self, found: list[Details], own: str) -> None:
        self._found = _in_order(_without(own, found))
        self.names = list(map(_NAME, self._found))
        self.folders = [place for place, kind in enumerate(map(_KIND, self._found)) if kind == "directory"]
        """Their places."""

    def entries(self, start: int, end: int | None, below: int) -> Entries:
        """Those between two places; ``below``: where their keys begin in their names."""
        found = self._found[start:end]
        return Entries([name[below:] for name in self.names[start:end]], _sizes(found), _versions(found))


def _without(own: str, found: list[Details]) -> list[Details]:
    """Some stores list the folder's own marker object, which is hardly longer than its name."""
    if min(map(len, map(_NAME, found)), default=0) > len(own) + 2:
        return found
    return [each for each in found if each["name"].rstrip("/") != own]


def _in_order(found: list[Details]) -> list[Details]:
    """Most stores list so: then no more is done than to look."""
    has_folders = "directory" in map(_KIND, found)
    places = list(map(_place if has_folders else _NAME, found))
    return found if sorted(places) == places else sorted(found, key=_place)


def _place(details: Details) -> str:
    return str(details["name"]) + ("/" if details["type"] == "directory" else "")


def _versions(found: list[Details]) -> list[str]:
    """``version_of`` each."""
    try:
        tags = list(map(_TAG, found))
        text = "".join(tags)
    except (KeyError, TypeError):  # some have none
        tags, text = [""], ""
    if not all(tags):
        return list(map(version_of, found))
    return [tag.strip('"') for tag in tags] if '"' in text else tags


def _sizes(found: list[Details]) -> list[int]:
    try:
        sizes = list(map(_SIZE, found))
    except KeyError:
        sizes = [None]
    return sizes if set(map(type, sizes)) <= {int} else list(map(size_of, found))


def size_of(details: Details) -> int:
    """In bytes; -1 where the store does not tell."""
    size = details.get("size")
    return -1 if size is None else int(size)


def etag_of(details: Details) -> str:
    """The store's mark of an object's content; empty where it has none."""
    for name in ("ETag", "etag", "md5Hash", "content_md5"):
        if details.get(name):
            return str(details[name]).strip('"')
    return ""


def version_of(details: Details) -> str:
    """What changes with an object's content, as far as its store tells."""
    if etag := etag_of(details):
        return etag
    modified = details.get("LastModified") or details.get("last_modified") or details.get("created") or ""
    return f"{details.get('size')}-{modified}"
