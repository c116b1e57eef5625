"""Rows of an inventory as images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pipeline.doors.manifest.inventory import OLD_VERSIONS, Inventory, column_of
from pipeline.doors.manifest.tables import Table
from pipeline.errors import JobError
from pipeline.storage.base import Entry

_NAMES = {"s3": ("bucket", "key"), "gs": ("bucket", "name")}
_FALSE = ("false", "False", False)
_TRUE = ("true", "True", True)


def inventory_entries(
    inventory: Inventory, table: Table, left_out: Counter[str], where: str
) -> Iterator[list[Entry]]:
    """The newest version of every object that is no folder's marker. ``JobError`` where a column lacks."""
    bucket, key = (_needed(table, name, where) for name in _NAMES[inventory.scheme])
    others = {name: column_of(table.names, name) for name in ("size", "etag", "islatest", "isdeletemarker")}
    wanted = [bucket, key, *(column for column in others.values() if column is not None)]
    for batch in table.batches(wanted):
        columns: dict[str, list[Any]] = {
            name: batch[column].to_pylist() if column is not None else [None] * len(batch)
            for name, column in others.items()
        }
        yield list(_entries(inventory, batch[bucket].to_pylist(), batch[key].to_pylist(), columns, left_out))


def _entries(
    inventory: Inventory,
    buckets: list[str],
    keys: list[str],
    columns: dict[str, list[Any]],
    left_out: Counter[str],
) -> Iterator[Entry]:
    for bucket, key, size, etag, latest, deleted in zip(buckets, keys, *columns.values(), strict=True):
        if latest in _FALSE or deleted in _TRUE:
            left_out[OLD_VERSIONS] += 1
            continue
        name = inventory.key(key)
        if name.endswith("/") and int(size or 0) == 0:
            continue
        length = -1 if size in (None, "") else int(size)
        version = (etag or "").strip('"') or (f"{length}" if length >= 0 else "")
        yield Entry(name, length, version, at=f"{inventory.scheme}://{bucket}/{name}")


def _needed(table: Table, name: str, where: str) -> str:
    found = column_of(table.names, name)
    if found is None:
        raise JobError(f"{where}: its table has no column for {name}; there are {', '.join(table.names)}")
    return found
