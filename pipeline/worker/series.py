"""Series in the worker: checked before any image is restored, and quarantined as a whole where one fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from pipeline.doors.archive import Archive
from pipeline.errors import ImageError
from pipeline.formats.series import HEAD_BYTES, READERS, formats_of_series
from pipeline.ledger.layout import Layout
from pipeline.ledger.schema import OK, QUARANTINED, Row
from pipeline.units import Source, Unit

ReadHead = Callable[["Source"], bytes]


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


def whole_head(archive: Archive, at: str) -> bytes:
    """An object's bytes up to its pixels, or all of it. Raises what the store raises."""
    head = archive.head(at, HEAD_BYTES)
    if len(head) < HEAD_BYTES or any(each.ends_in(head) for each in formats_of_series()):
        return head
    return archive.read(at)


def all_or_nothing(rows: list[Row], unit: Unit, layout: Layout) -> list[Row]:
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
        "message": f"{' and '.join(reasons)} in {len(culprits)} of {images} images of the series; fix or "
        'remove them, or write series = "single" in the dataset',
        **dict.fromkeys(("output_uri", "output_sha256", "output_bytes")),
        **dict.fromkeys(("degraded_uri", "degraded_sha256", "degraded_bytes")),
    }


def _remove_objects(source: Source, row: Row, layout: Layout, *, degraded: bool) -> None:
    for each in formats_of_series():
        if layout.keeps_restored:
            key = layout.restored(source, row["degradation"], row["restorer"], each.extensions)
            layout.outlet.remove(source, key)
        if layout.keeps_degraded and degraded:
            layout.outlet.remove(source, layout.degraded(source, row["degradation"], each.extensions))


def _members(unit: Unit) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = defaultdict(list)
    for source in unit.sources:
        if source.group:
            found[source.group].append(source)
    return found


def _check_stack(heads: list[bytes]) -> None:
    for each in formats_of_series():
        if all(each.recognises(head) for head in heads):
            each.check_series(heads)
            return
    if not any(each.recognises(head) for each in formats_of_series() for head in heads):
        return  # a group that a manifest made: nothing says how its images lie
    raise ImageError("SERIES_INCONSISTENT", "images of several formats")
