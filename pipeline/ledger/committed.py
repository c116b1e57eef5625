"""What a ledger says is done: sorted arrays, 16 bytes an image, and no object of Python for any of them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ledger.identities import IdArray, Ranged, contains, ids_of, no_ids, order_of, places_of
from pipeline.ledger.schema import is_ok

COLUMNS = ["source_id", "unit_id", "attempt", "status"]
"""Of the ledger: what it takes to know what is done."""


@dataclass(frozen=True)
class Committed:
    """What the ledger of one recipe holds.

    Of the rows of a source that stand in several units, those of its newest attempt count; of equal attempts,
    those of the first unit in order of name. Tables, verification and planning all ask here.
    """

    done: IdArray = field(default_factory=no_ids)
    """Every committed source, sorted, each once."""
    failed: IdArray = field(default_factory=no_ids)
    """Those of them of which a row that counts is quarantined, sorted."""
    several: IdArray = field(default_factory=no_ids)
    """Those of them that stand in several units, sorted."""
    units: NDArray[np.str_] = field(default_factory=lambda: np.empty(0, "U32"))
    """For each of those the unit whose rows count."""
    retried: IdArray = field(default_factory=no_ids)
    """Sources beyond attempt 0, sorted."""
    attempts: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    """For each of those its newest attempt."""

    def attempt(self, source_id: str) -> int:
        """The newest committed attempt of a source."""
        return int(self.attempts_of(ids_of([source_id]))[0])

    def attempts_of(self, ids: IdArray) -> NDArray[np.int32]:
        """The newest committed attempt of each source; 0 for those that were never tried again."""
        newest = np.zeros(len(ids), np.int32)
        if len(self.retried):
            known = contains(self.retried, ids)
            newest[known] = self.attempts[places_of(self.retried, ids[known])]
        return newest

    def newest(self, table: pa.Table) -> NDArray[np.bool_]:
        """For each row of a part of the ledger whether it counts."""
        counts = np.ones(len(table), bool)
        if not len(self.several):
            return counts
        ids = ids_of(table["source_id"])
        doubtful = np.flatnonzero(contains(self.several, ids))
        if not len(doubtful):
            return counts
        rows = table.select(["unit_id", "attempt"]).take(pa.array(doubtful))
        units, attempts = np.array(rows["unit_id"].to_pylist(), "U32"), rows["attempt"].to_numpy()
        places = places_of(self.several, ids[doubtful])
        counts[doubtful] = (units == self.units[places]) & (attempts == self.attempts_of(ids[doubtful]))
        return counts


class CommittedBuilder:
    """``add`` parts of the ledger in any order, then ``build``: 25 bytes a source meanwhile."""

    def __init__(self) -> None:
        self._entries = Ranged()
        """Of each: whether a row is bad, attempt, place of its unit's name."""
        self._names: list[pa.Array] = []
        self._count = 0

    def add(self, table: pa.Table) -> None:
        """One part, with ``COLUMNS``."""
        if not len(table):
            return
        ids = ids_of(table["source_id"])
        names = table["unit_id"].combine_chunks().dictionary_encode()
        units = names.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        attempts = table["attempt"].to_numpy().astype(np.int32)
        # The rows of a source in a unit stand together: one entry is enough for them.
        first = np.ones(len(ids), bool)
        first[1:] = (ids[1:] != ids[:-1]) | (units[1:] != units[:-1]) | (attempts[1:] != attempts[:-1])
        starts = np.flatnonzero(first)
        bad = np.logical_or.reduceat(~is_ok(table), starts)
        self._entries.add(ids[starts], bad, attempts[starts], units[starts] + np.int32(self._count))
        self._names.append(names.dictionary.cast(pa.string()))
        self._count += len(names.dictionary)

    def build(self) -> Committed:
        """What was added, sorted; the builder is empty afterwards."""
        if not self._entries.count:
            return Committed()
        done, count, parts = np.empty(self._entries.count, "S16"), 0, []
        for ids, bad, attempts, units in self._entries.ranges():
            part = self._settle(ids, bad, attempts, units)
            done[count : count + len(part.done)] = part.done
            count += len(part.done)
            parts.append(replace(part, done=no_ids()))
        others = [each.name for each in fields(Committed) if each.name != "done"]
        joined = {name: np.concatenate([getattr(each, name) for each in parts]) for name in others}
        return Committed(done[:count], **joined)

    def _settle(
        self, ids: IdArray, bad: NDArray[np.bool_], attempts: NDArray[np.int32], units: NDArray[np.int32]
    ) -> Committed:
        """Of all entries of some sources."""
        order = order_of(ids)
        ids = ids[order]
        same = np.zeros(len(ids) + 1, bool)  # whether an entry is of the same source as the one before
        same[1:-1] = ids[1:] == ids[:-1]
        crowd = np.flatnonzero(same[1:] | same[:-1])
        names = self._names_of(units[order[crowd]])
        winners, losers = _settled(ids[crowd], attempts[order[crowd]], names)
        keep = np.ones(len(ids), bool)
        keep[crowd[losers]] = False
        for winner, loser in zip(winners, losers, strict=True):  # the rest of one unit, from another part
            if winner >= 0:
                bad[order[crowd[winner]]] |= bad[order[crowd[loser]]]
        chosen = np.isin(np.arange(len(crowd)), losers, invert=True)
        order, done = order[keep], ids[keep]
        retried = attempts[order] > 0
        return Committed(
            done=done,
            failed=done[bad[order]],
            several=ids[crowd][chosen],
            units=names[chosen],
            retried=done[retried],
            attempts=attempts[order][retried],
        )

    def _names_of(self, units: NDArray[np.int32]) -> NDArray[np.str_]:
        if not len(units):
            return np.empty(0, "U32")
        return np.array(pa.chunked_array(self._names).take(pa.array(units)).to_pylist(), "U32")


def _settled(
    ids: IdArray, attempts: NDArray[np.int32], names: NDArray[np.str_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Entries that do not count, and for each the one of the same unit and attempt that does, or -1."""
    winner = -1
    pairs: list[tuple[int, int]] = []
    for place in np.lexsort((names, -attempts, ids)).tolist():
        if winner < 0 or ids[place] != ids[winner]:
            winner = place
            continue
        equal = attempts[place] == attempts[winner] and names[place] == names[winner]
        pairs.append((winner if equal else -1, place))
    found = np.array(pairs, np.intp).reshape(-1, 2)
    return found[:, 0], found[:, 1]
