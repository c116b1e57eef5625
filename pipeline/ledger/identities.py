"""Identities as sorted arrays: 16 bytes an image, and no object of Python for any of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids: TypeAlias = Sequence[str] | Any
"""Identities of 32 hex digits: texts, or a column of Arrow."""
IdArray: TypeAlias = NDArray[np.bytes_]
"""The same as 16 bytes each, ``S16``; NumPy pads with zeros, so that ids which end in zeros compare right."""

_FEW = 1 << 16
"""Identities that are sorted at once."""


def no_ids() -> IdArray:
    """None at all."""
    return np.empty(0, "S16")


def ids_of(ids: Ids) -> IdArray:
    """Identities as bytes, in their order."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if isinstance(ids, pa.Array):
        _, _, data = ids.cast(pa.large_string()).buffers()
        start = ids.offset * 32
        text = b"" if data is None else data.to_pybytes()[start : start + 32 * len(ids)]
    else:
        text = "".join(ids).encode()
    assert len(text) == 32 * len(ids), "identities are 32 hex digits"
    return np.frombuffer(bytes.fromhex(text.decode()), "S16")


def _heads(ids: IdArray) -> NDArray[np.uint64]:
    """Their first 8 bytes as numbers, in the same order: they sort, and are found, many times quicker."""
    return np.ascontiguousarray(ids).view(">u8")[::2].astype(np.uint64)


def order_of(ids: IdArray) -> NDArray[np.intp]:
    """What sorts them, equal ones as they stand."""
    order = np.argsort(_heads(ids), kind="stable")
    there = ids[order]
    # Two hashes hardly ever begin alike; where they do, their heads do not tell their order.
    return np.argsort(ids, kind="stable") if (there[1:] < there[:-1]).any() else order


def ranges_of(ids: IdArray) -> Iterator[NDArray[np.intp]]:
    """Places of the identities by their first bits, range after range.

    What is sorted range by range lies sorted as a whole, and takes a sixteenth of the room meanwhile.
    """
    if len(ids) < _FEW:
        yield np.arange(len(ids))
        return
    first = np.ascontiguousarray(ids).view(np.uint8)[::16] >> 4
    for each in range(16):
        yield np.flatnonzero(first == each)


def sorted_ids(ids: IdArray) -> IdArray:
    """Sorted, each once."""
    found, count = np.empty_like(ids), 0
    for places in ranges_of(ids):
        some = ids[places]
        some = some[order_of(some)]
        first = np.ones(len(some), bool)
        first[1:] = some[1:] != some[:-1]
        some = some if first.all() else some[first]
        found[count : count + len(some)] = some
        count += len(some)
    return found[:count]


class IdIndex:
    """Sorted identities, each once, to look millions of others up in; 8 bytes each on top."""

    def __init__(self, ids: IdArray) -> None:
        self.ids = ids
        self._heads = _heads(ids)
        self._is_told = not (self._heads[1:] == self._heads[:-1]).any()

    def places(self, wanted: IdArray) -> NDArray[np.intp]:
        """Where each id is among them, if it is there."""
        if not self._is_told or not len(self.ids):
            return places_of(self.ids, wanted)
        heads = _heads(wanted)
        order = np.argsort(heads)  # one after the other they are found in the same cache lines
        places = np.empty(len(wanted), np.intp)
        places[order] = np.searchsorted(self._heads, heads[order])
        return np.minimum(places, len(self.ids) - 1)

    def contains(self, ids: Ids | IdArray) -> NDArray[np.bool_]:
        """For each id whether it is among them."""
        wanted = ids if isinstance(ids, np.ndarray) else ids_of(ids)
        if not len(self.ids):
            return np.zeros(len(wanted), bool)
        return np.asarray(self.ids[self.places(wanted)] == wanted)


def contains(those: IdArray, ids: Ids | IdArray) -> NDArray[np.bool_]:
    """For each id whether it is among the sorted ones."""
    wanted = ids if isinstance(ids, np.ndarray) else ids_of(ids)
    if not len(those):
        return np.zeros(len(wanted), bool)
    return np.asarray(those[places_of(those, wanted)] == wanted)


def places_of(those: IdArray, wanted: IdArray) -> NDArray[np.intp]:
    """Where each id is among the sorted ones, if it is there."""
    return np.minimum(np.searchsorted(those, wanted), max(len(those) - 1, 0))
