"""Takes out of a ledger what cannot be read any more, so that what it held is done again.

Unit files and row groups of segments are lost one by one, never their neighbours. A manifest that is damaged
is made again from all segments that are there: a unit that is in two of them has the same rows in both.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import merge

from pipeline.errors import StorageError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.manifest import DamagedManifestError, Manifest, Segment, newest_number
from pipeline.ledger.sealed import Sealed, place_of
from pipeline.ledger.sealing import each_once, replace_manifest, units_of, write_segments
from pipeline.wording import number_of


def mend(ledger: Ledger, check: Callable[[], None]) -> list[str]:
    """Drops what is damaged or gone; one line for each. For the one process that holds the run's lease.

    ``StorageError`` where the ledger is of a newer version: it is left alone.
    """
    found: list[str] = []
    sealed = _opened(ledger, found)
    for key in ledger.unit_keys():
        try:
            ledger.checked(key, ledger.folder.read(key))
        except StorageError:
            ledger.folder.delete(key)
            found.append(f"{key}: was damaged, its images have no row any more")
    found += [
        f"{each.key}: is gone, with the rows of {number_of(each.units, 'unit')}" for each in sealed.lost
    ]
    damaged = [each for each in sealed.segments if not _is_whole(sealed, each)]
    if found or damaged:
        _replace(ledger, sealed, damaged, found, check)
    return found


def _opened(ledger: Ledger, found: list[str]) -> Sealed:
    """The sealed part; where its manifest is damaged, with every segment as if it were damaged too."""
    try:
        return ledger.sealed()
    except DamagedManifestError as error:
        place = place_of(ledger.prefix)
        listed = ledger.folder.keys(place)
        found.append(f"{error.key}: was damaged")
        return Sealed(ledger.folder, place, listed, Manifest(newest_number(listed)))


def _is_whole(sealed: Sealed, segment: Segment) -> bool:
    try:
        return sum(len(table) for table in sealed.tables_of(segment)) == segment.rows
    except StorageError:
        return False


def _replace(
    ledger: Ledger, sealed: Sealed, damaged: list[Segment], found: list[str], check: Callable[[], None]
) -> None:
    holders = [*damaged, *sealed.strays]
    units = merge(*(units_of(sealed.readable_tables(each), i) for i, each in enumerate(holders)))
    written = tuple(write_segments(ledger, sealed.place, each_once(units)))
    for each in damaged:
        found.append(
            f"{each.key}: was damaged; what could be read of its {number_of(each.units, 'unit')} is kept"
        )
    kept = tuple(each for each in sealed.segments if each not in damaged)
    if sealed.listed or written:
        replace_manifest(ledger, sealed, kept + written, check)
