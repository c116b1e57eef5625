"""Items in a table, as stac-geoparquet has them: their properties are columns."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.doors.stac.item import CARRIED
from pipeline.errors import JobError
from pipeline.storage.folder import Folder

_BATCH = 2048
_ITEM = ("id", "collection", "geometry", "bbox", "assets", "links")
_OTHERS = ("updated", "created", "file:size", "file:checksum")
_KINDS = {1: "Point", 2: "LineString", 3: "Polygon", 4: "MultiPoint", 5: "MultiLineString", 6: "MultiPolygon"}


def is_geoparquet(url: str) -> bool:
    """By its name."""
    return url.lower().endswith((".parquet", ".geoparquet"))


def rows_of(folder: Folder, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every item with its address; ``JobError`` for a table of something else."""
    with folder.open(key) as file:
        try:
            parquet = pq.ParquetFile(pa.PythonFile(file, mode="r"))
        except pa.ArrowInvalid as error:
            raise JobError(f"{folder.uri(key)}: cannot be read as Parquet: {error}") from None
        there = parquet.schema_arrow.names
        if "id" not in there or "assets" not in there:
            raise JobError(f"{folder.uri(key)}: is no stac-geoparquet: it has no columns id and assets")
        columns = [each for each in (*_ITEM, *CARRIED, *_OTHERS) if each in there]
        for batch in parquet.iter_batches(_BATCH, columns=columns):
            for row in batch.to_pylist():
                yield _address(row, folder.uri(key)), _item(row)


def _address(row: dict[str, Any], table: str) -> str:
    """The item's own where it tells, for relative addresses are below that."""
    links = row.get("links") or []
    own = next((each.get("href") for each in links if each.get("rel") == "self"), None)
    return str(own) if own and "://" in str(own) else table


def _item(row: dict[str, Any]) -> dict[str, Any]:
    assets = {
        name: _without_nulls(each) for name, each in (row.get("assets") or {}).items() if each is not None
    }
    properties = {
        name: _plain(value) for name, value in row.items() if name not in _ITEM and value is not None
    }
    box = row.get("bbox")
    return {
        "id": row["id"],
        "collection": row.get("collection"),
        "geometry": geometry_of(row.get("geometry")),
        "bbox": _box(box),
        "assets": assets,
        "properties": properties,
    }


def _without_nulls(value: Any) -> Any:
    """A struct has all fields of all rows; an item only its own."""
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime | date) else value


def _box(box: Any) -> list[float] | None:
    if isinstance(box, dict):
        names = [
            name for name in ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax") if box.get(name) is not None
        ]
        return [box[name] for name in names] or None
    return list(box) if box else None


def geometry_of(data: bytes | None) -> dict[str, Any] | None:
    """GeoJSON out of well-known binary (OGC 06-103r4, 8.2); ``None`` for nothing, and for other kinds."""
    try:
        return _geometry(data, 0)[0] if data else None
    except (struct.error, KeyError):
        return None


def _geometry(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    order = "<" if data[at] == 1 else ">"
    (code,) = struct.unpack_from(f"{order}I", data, at + 1)
    at += 5 + (4 if code & 0x20000000 else 0)  # a coordinate system, as PostGIS writes it
    kind = _KINDS[code & 0xFFFF if code > 0xFFFF else code % 1000]
    higher = bin(code >> 30).count("1") if code > 0xFFFF else min(code // 1000, 2) - (code // 1000 == 2)
    read = _Reader(data, at, order, 2 + higher)
    if kind.startswith("Multi"):
        parts = []
        for _ in range(read.count()):
            part, read.at = _geometry(data, read.at)
            parts.append(part["coordinates"])
        return {"type": kind, "coordinates": parts}, read.at
    coordinates = {"Point": read.point, "LineString": read.line, "Polygon": read.rings}[kind]()
    return {"type": kind, "coordinates": coordinates}, read.at


class _Reader:
    def __init__(self, data: bytes, at: int, order: str, dimensions: int) -> None:
        self._data, self.at, self._order, self._dimensions = data, at, order, dimensions

    def count(self) -> int:
        (count,) = struct.unpack_from(f"{self._order}I", self._data, self.at)
        self.at += 4
        return int(count)

    def point(self) -> list[float]:
        values = struct.unpack_from(f"{self._order}{self._dimensions}d", self._data, self.at)
        self.at += 8 * self._dimensions
        return list(values[:2])

    def line(self) -> list[list[float]]:
        return [self.point() for _ in range(self.count())]

    def rings(self) -> list[list[list[float]]]:
        return [self.line() for _ in range(self.count())]
