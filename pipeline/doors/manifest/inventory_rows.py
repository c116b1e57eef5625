"""Rows of an inventory as images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pipeline.doors.manifest.inventory import OLD_VERSIONS, Inventory, column_of
from pipeline.doors.manifest.tables import Table
from pipeline.errors import JobError
from pipeline.storage.entries import Entries

_NAMES = {"s3": ("bucket", "key"), "gs": ("bucket", "name")}
_FALSE = ("false", "False", False)
_TRUE = ("true", "True", True)


def inventory_entries(
    inventory: Inventory, table: Table, left_out: Counter[str], where: str
) -> Iterator[Entries]:
    """The newest version of every object that is no folder's marker. ``JobError`` where a column lacks."""
    bucket, key = (_needed(table, name, where) for name in _NAMES[inventory.scheme])
    others = {name: column_of(table.names, name) for name in ("size", "etag", "islatest", "isdeletemarker")}
    wanted = [bucket, key, *(column for column in others.values() if column is not None)]
    for batch in table.batches(wanted):
        columns: dict[str, list[Any]] = {
            name: batch[column].to_pylist() if column is not None else [None] * len(batch)
            for name, column in others.items()
        }
        yield _entries(inventory, batch[bucket].to_pylist(), batch[key].to_pylist(), columns, left_out)


def _entries(
    inventory: Inventory,
    buckets: list[str],
    keys: list[str],
    columns: dict[str, list[Any]],
    left_out: Counter[str],
) -> Entries:
    flags = zip(columns["islatest"], columns["isdeletemarker"], strict=True)
    newest = [latest not in _FALSE and deleted not in _TRUE for latest, deleted in flags]
    if old := newest.count(False):
        left_out[OLD_VERSIONS] += old
    names = [inventory.key(key) for key in keys]
    sizes = [-1 if size in (None, "") else int(size) for size in columns["size"]]
    versions = [
        (tag or "").strip('"') or (str(size) if size >= 0 else "")
        for tag, size in zip(columns["etag"], sizes, strict=True)
    ]
    ats = [f"{inventory.scheme}://{bucket}/{name}" for bucket, name in zip(buckets, names, strict=True)]
    page = Entries(names, sizes, versions, {"at": ats})
    markers = [name.endswith("/") and size < 1 for name, size in zip(names, sizes, strict=True)]
    return page.chosen([new and not marker for new, marker in zip(newest, markers, strict=True)])


def _needed(table: Table, name: str, where: str) -> str:
    found = column_of(table.names, name)
    if found is None:
        raise JobError(f"{where}: its table has no column for {name}; there are {', '.join(table.names)}")
    return found
