"""The few small types that every station hands on: a source, a unit of sources, a part of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.hashing import short_hash


@dataclass(frozen=True)
class Source:
    """One object in a store, at one version."""

    dataset: str
    key: str
    size: int
    version: str
    source_id: str
    """128-bit hash of dataset, place, key and version, 32 hex digits."""
    group: str = ""
    """Sources of one group stand or fall together, in one unit; empty for those that are alone."""
    sealed: str = ""
    """The key of the object in its store, where ``key`` is an opaque id: see ``pipeline.privacy``."""


Group = list[Source]
"""Sources that stay in one unit: the images of a group, or one image alone."""


@dataclass(frozen=True)
class Unit:
    """A handful of sources that commit together: what a kill may repeat."""

    unit_id: str
    attempt: int
    """0 the first time; ``retry`` counts up."""
    sources: tuple[Source, ...]
    part: Part | None = None
    """What of its one source, where that is a scene: a strip, or the joining of its strips."""


def unit_of(record: dict[str, Any]) -> Unit:
    """A unit out of one row of the units' file."""
    members = tuple(Source(**each) for each in record["sources"])
    return Unit(record["unit_id"], record["attempt"], members, Part.of(record.get("part")))


def make_unit(recipe_id: str, attempt: int, members: list[Source]) -> Unit:
    """A unit, named by what it holds."""
    ids = sorted(source.source_id for source in members)
    return Unit(short_hash(recipe_id, str(attempt), *ids), attempt, tuple(members))


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
