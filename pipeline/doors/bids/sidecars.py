"""What JSON files say of an image: its own, and those of the folders above it (the inheritance principle)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import Any

from pipeline.doors.bids.names import BidsName
from pipeline.storage.folder import Folder

_MOST_ENTITIES = 6
"""Of a name above its subject: each one more doubles the names that could be meant."""
_KEPT = 4096


class Sidecars:
    """``of(key)``: all that is said of an image; ``companion(key, ending)``: a file that goes along."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._fields = lru_cache(_KEPT)(self._read)
        self._is_there = lru_cache(_KEPT)(folder.exists)

    def of(self, key: str) -> dict[str, Any]:
        """What stands nearer to the image overrules what is above; of two in a folder, the longer name."""
        name = BidsName.of(key)
        fields: dict[str, Any] = {}
        for each in _candidates(name, ".json") if name is not None else ():
            fields |= self._fields(each)
        return fields

    def companion(self, key: str, ending: str) -> bytes | None:
        """The nearest file with this ending, as gradients of diffusion have; ``None`` where there is none."""
        name = BidsName.of(key)
        nearest = list(_candidates(name, ending))[::-1] if name is not None else []
        found = next((each for each in nearest if self._is_there(each)), None)
        return None if found is None else self._folder.read(found)

    def _read(self, key: str) -> dict[str, Any]:
        if not self._folder.exists(key):
            return {}
        try:
            fields = json.loads(self._folder.read(key))
        except ValueError:  # its dataset is at fault, and the image is none the worse
            return {}
        return fields if isinstance(fields, dict) else {}


def _candidates(name: BidsName, ending: str) -> Iterator[str]:
    """Keys that may be there, from above: in each folder the names with fewer entities first."""
    own = [f"{short}-{label}" for short, label in name.entities.items() if short in ("sub", "ses")]
    others = [f"{short}-{label}" for short, label in name.entities.items() if short not in ("sub", "ses")]
    for depth in range(len(name.folders) + 1):
        folder = "".join(f"{each}/" for each in name.folders[:depth])
        prefix = own[: min(depth, len(own))]
        for count in range(len(others[:_MOST_ENTITIES]) + 1):
            for some in combinations(others[:_MOST_ENTITIES], count):
                yield f"{folder}{'_'.join([*prefix, *some, name.suffix])}{ending}"
