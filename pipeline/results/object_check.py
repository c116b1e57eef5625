"""Compares stored objects with what the ledger says of them, many at a time, here or wherever it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.doors.outlet import Outlet, Results
from pipeline.errors import describe
from pipeline.hashing import sha256_hex, sha256_of
from pipeline.ledger.run_folder import RunFolder
from pipeline.storage.base import CONNECTIONS
from pipeline.storage.store import KeepsChecksums

DISK_THREADS = 8
TOGETHER = 2000
"""Objects that are looked at in one place."""
HELD_BYTES = 1 << 26
"""Larger objects are read in pieces, one request more each."""

Owed = tuple[str, str, int]
"""Key, SHA-256 and size of an object that a row promises."""
DOCUMENT = "JSON"
"""Instead of a hash, of a document that goes along with a result: rows know no more than that it is there."""


@dataclass(frozen=True)
class ObjectCheck:
    """``check(owed)``: what is wrong with these objects; cheap to pickle."""

    run: RunFolder
    reads: bool = False
    """Whether each is read, also where the store keeps the checksum that came with it."""
    of_results: bool = True
    """Or of objects below the output that describe results."""

    def __call__(self, owed: list[Owed]) -> list[str]:
        """One line for each that is missing, damaged, or cannot be read."""
        results = self.run.results() if self.of_results else self.run.root
        with ThreadPoolExecutor(DISK_THREADS if self.run.root.is_local else CONNECTIONS) as pool:
            faults = pool.map(lambda each: object_fault(results, *each, reads=self.reads), owed)
            return [each for each in faults if each is not None]


Spread = Callable[[ObjectCheck, Iterator[list[Owed]]], Iterator[list[str]]]
"""Takes objects through a check: ``map`` in this process."""


def in_portions(owed: set[Owed]) -> Iterator[list[Owed]]:
    """Neighbours together."""
    ordered = sorted(owed)
    for start in range(0, len(ordered), TOGETHER):
        yield ordered[start : start + TOGETHER]


def owed_beside(outlet: Outlet, kind: str, key: str) -> Owed | None:
    """The document that goes along with a result of that kind, where its door writes one."""
    beside = outlet.companion(key) if kind == "output" else None
    return None if beside is None else (beside, DOCUMENT, 0)


def object_fault(results: Results, key: str, digest: str, size: int, *, reads: bool) -> str | None:
    """What is wrong with an object that a row promises; ``None`` where nothing is.

    Unless it ``reads``, the SHA-256 that the store keeps of what it took stands for the object's own.
    """
    if digest == DOCUMENT:
        return _document_fault(results, key)
    try:
        kept = results.kept(key) if isinstance(results, KeepsChecksums) and not reads else None
        found, count = kept or _digest(results, key, size)
    except FileNotFoundError:
        return f"{key}: the object is missing"
    except Exception as error:
        return f"{key}: cannot be read: {describe(error)}"
    if count != size:
        return f"{key}: {count} bytes, the ledger says {size}"
    return None if found == digest else f"{key}: its SHA-256 is not that of the ledger"


def _document_fault(results: Results, key: str) -> str | None:
    try:
        json.loads(results.read(key))
    except FileNotFoundError:
        return f"{key}: the object is missing"
    except ValueError:
        return f"{key}: is no JSON any more"
    except Exception as error:
        return f"{key}: cannot be read: {describe(error)}"
    return None


def _digest(results: Results, key: str, size: int) -> tuple[str, int]:
    if size > HELD_BYTES:
        with results.open(key) as file:
            return sha256_of(file)
    data = results.read(key)
    return sha256_hex(data), len(data)
