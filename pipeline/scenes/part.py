"""What a unit of the plan does of a scene: one strip of it, or the joining of all strips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.hashing import short_hash

JOINING = -1


@dataclass(frozen=True)
class Part:
    """A strip of a scene, by its rows, or the joining of its strips."""

    cuts: tuple[int, ...]
    """The first row of every strip, and the height of the scene."""
    index: int = JOINING
    """Which strip; ``JOINING`` for what comes after the last."""

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> Part | None:
        """Out of plain values, as in the plan's file; nothing out of nothing."""
        return None if record is None else cls(tuple(record["cuts"]), record["index"])

    @property
    def joins(self) -> bool:
        """Whether this is the joining of the strips."""
        return self.index == JOINING

    @property
    def rows(self) -> tuple[int, int]:
        """First row of the strip, and the first one after it; all rows for the joining."""
        return (0, self.cuts[-1]) if self.joins else (self.cuts[self.index], self.cuts[self.index + 1])

    @property
    def strips(self) -> tuple[Part, ...]:
        """All strips of the scene, from above."""
        return tuple(replace(self, index=index) for index in range(len(self.cuts) - 1))

    @property
    def joining(self) -> Part:
        """The joining of the scene's strips."""
        return replace(self, index=JOINING)

    def unit_id(self, scene_unit: str) -> str:
        """The name of this unit, out of that of the unit which commits the scene's row: the joining."""
        return scene_unit if self.joins else short_hash(scene_unit, *map(str, self.rows))
