"""Identities as sorted arrays: 16 bytes an image, and no object of Python for any of them."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ids: TypeAlias = Sequence[str] | Any
"""Identities of 32 hex digits: texts, or a column of Arrow."""
IdArray: TypeAlias = NDArray[np.bytes_]
"""The same as 16 bytes each, ``S16``; NumPy pads with zeros, so that ids which end in zeros compare right."""

_Piece: TypeAlias = tuple[NDArray[Any], ...]
"""Identities, and columns beside them."""

_FEW = 1 << 16
"""Identities that are sorted at once."""
_DEALT = 1 << 20
"""Identities that are dealt to ranges at once: what then falls to one goes back to the system when freed."""
_RANGES = 16


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
        text = memoryview(b"" if data is None else data)[start : start + 32 * len(ids)]
    else:
        text = memoryview("".join(ids).encode())
    assert len(text) == 32 * len(ids), "identities are 32 hex digits"
    return np.frombuffer(unhexlify(text), "S16")


def _heads(ids: IdArray) -> NDArray[np.uint64]:
    """Their first 8 bytes as numbers, in the same order: they sort, and are found, many times quicker."""
    return np.ascontiguousarray(ids).view(">u8")[::2].astype(np.uint64)


def order_of(ids: IdArray) -> NDArray[np.intp]:
    """What sorts them, equal ones as they stand."""
    order = np.argsort(_heads(ids), kind="stable")
    there = ids[order]
    # Two hashes hardly ever begin alike; where they do, their heads do not tell their order.
    return np.argsort(ids, kind="stable") if (there[1:] < there[:-1]).any() else order


class Ranged:
    """Identities, and columns beside them, in ranges by their first bits: ``add`` pieces, then ``ranges``.

    What is sorted range by range lies sorted as a whole, and takes a sixteenth of the room meanwhile: no
    column is held twice.
    """

    def __init__(self) -> None:
        self.count = 0
        """Identities that were added."""
        self._waiting: list[_Piece] = []
        self._ranges: list[list[_Piece]] = [[] for _ in range(_RANGES)]
        self._few = 0

    def add(self, ids: IdArray, *others: NDArray[Any]) -> None:
        """A piece: identities, and as many values in each of the other columns."""
        self._waiting.append((ids, *others))
        self._few += len(ids)
        self.count += len(ids)
        if self._few >= _DEALT:
            self._deal()

    def _deal(self) -> None:
        """Dealt many at once: small arrays, freed one by one, stay with the process."""
        ids, *others = _joined(self._waiting)
        self._waiting, self._few = [], 0
        first = np.ascontiguousarray(ids).view(np.uint8)[::16] >> 4
        order = np.argsort(first, kind="stable")
        bounds = np.searchsorted(first[order], np.arange(_RANGES + 1)).tolist()
        for pieces, (start, end) in zip(self._ranges, pairwise(bounds), strict=True):
            places = order[start:end]
            pieces.append((ids[places], *(each[places] for each in others)))

    def ranges(self) -> Iterator[_Piece]:
        """The columns of range after range, in the order in which they came; they are let go of with it."""
        if self.count < _FEW:
            if self._waiting:
                yield _joined(self._waiting)
            return
        if self._waiting:
            self._deal()
        for place in range(_RANGES):
            pieces, self._ranges[place] = self._ranges[place], []
            joined = _joined(pieces)
            del pieces
            yield joined


def _joined(pieces: list[_Piece]) -> _Piece:
    return tuple(np.concatenate(column) for column in zip(*pieces, strict=True))


def sorted_ids(pieces: Iterable[IdArray]) -> IdArray:
    """The identities of all pieces, sorted, each once."""
    ranged = Ranged()
    for each in pieces:
        ranged.add(each)
    found, count = np.empty(ranged.count, "S16"), 0
    for (some,) in ranged.ranges():
        some = some[order_of(some)]
        first = np.ones(len(some), bool)
        first[1:] = some[1:] != some[:-1]
        some = some if first.all() else some[first]
        found[count : count + len(some)] = some
        count += len(some)
    return found[:count]


class IdIndex:
    """Sorted identities, each once, to look millions of others up in; 8 bytes each on top, once asked."""

    def __init__(self, ids: IdArray) -> None:
        self.ids = ids

    @cached_property
    def _heads(self) -> NDArray[np.uint64]:
        return _heads(self.ids)

    @cached_property
    def _is_told(self) -> bool:
        """Whether their heads are enough to tell them apart."""
        return not (self._heads[1:] == self._heads[:-1]).any()

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
