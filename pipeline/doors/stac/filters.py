"""Which items of a catalogue a job wants: by collection, place, time and clouds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.jobs.intervals import instant, interval
from pipeline.jobs.stores import StacStore

FILTERED = "items that the filters of the job leave out"
"""What a listing leaves out and counts."""
NO_PLACE = "items without a geometry, which no bbox can choose"
NO_TIME = "items without a time that can be read, which no datetime can choose"
NO_CLOUDS = "items that do not say their cloud cover"


class ItemFilter:
    """``left_out(item)``: why an item is not wanted, or nothing."""

    def __init__(self, store: StacStore) -> None:
        self._collections = frozenset(store.collections)
        self._bbox, self._clouds = store.bbox, store.cloud_cover
        self._times = interval(store.datetime) if store.datetime is not None else None

    def left_out(self, item: dict[str, Any]) -> str:
        """Empty for one that is wanted."""
        if self._collections and item.get("collection") not in self._collections:
            return FILTERED
        properties = item.get("properties")
        known: dict[str, Any] = properties if isinstance(properties, dict) else {}
        return self._place(item) or self._time(known) or self._cover(known)

    def _place(self, item: dict[str, Any]) -> str:
        if self._bbox is None:
            return ""
        box = box_of(item)
        if box is None:
            return NO_PLACE
        return "" if _meet(self._bbox, box) else FILTERED

    def _time(self, properties: dict[str, Any]) -> str:
        if self._times is None:
            return ""
        texts = [properties.get("datetime") or properties.get("start_datetime")]
        texts.append(properties.get("datetime") or properties.get("end_datetime"))
        try:
            first, last = (instant(str(each)) for each in texts)
        except ValueError:
            return NO_TIME
        return "" if first <= self._times[1] and last >= self._times[0] else FILTERED

    def _cover(self, properties: dict[str, Any]) -> str:
        if self._clouds is None:
            return ""
        cover = properties.get("eo:cloud_cover")
        if not isinstance(cover, int | float):
            return NO_CLOUDS
        return "" if cover <= self._clouds else FILTERED


def box_of(item: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """West, south, east, north of an item; out of its geometry where it names no box."""
    box = item.get("bbox")
    if isinstance(box, list) and len(box) in (4, 6) and all(isinstance(each, int | float) for each in box):
        half = len(box) // 2
        return box[0], box[1], box[half], box[half + 1]
    geometry = item.get("geometry")
    points = list(_points(geometry.get("coordinates"))) if isinstance(geometry, dict) else []
    if not points:
        return None
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if not isinstance(coordinates, list) or not coordinates:
        return
    if isinstance(coordinates[0], int | float):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for each in coordinates:
        yield from _points(each)


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    if one[1] > other[3] or other[1] > one[3]:
        return False
    return any(a[0] <= b[1] and b[0] <= a[1] for a in _spans(one) for b in _spans(other))


def _spans(box: tuple[float, float, float, float]) -> list[tuple[float, float]]:
    """West and east; two of a box over the antimeridian."""
    west, east = box[0], box[2]
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
