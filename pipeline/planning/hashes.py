"""Names that are too many to be held, ten million of them: as hashes, 8 bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def hashed(portions: Iterable[Iterable[object]]) -> NDArray[np.int64]:
    """The hash of each of these in this process, sorted, each once: in another one they are others."""
    found = array("q")
    for each in portions:
        found.extend(map(hash, each))
    return np.unique(np.array(found, np.int64))


def is_among(name: object, hashes: NDArray[np.int64]) -> bool:
    """Whether it is one of those that ``hashed`` was given."""
    value = hash(name)
    place = int(np.searchsorted(hashes, value))
    return place < len(hashes) and int(hashes[place]) == value
