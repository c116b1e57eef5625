"""The few small types that every station hands on: a source, a unit of sources, a strip of a scene."""

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
    """What its archive reads it by, where ``key`` is an opaque id: see ``pipeline.privacy``."""
    attached: str = ""
    """The text of a ``pipeline.attached.Attached``, sealed where the key is; empty where there is nothing."""
    at: str = ""
    """What its archive reads it by, where that is not the key: see ``pipeline.doors``."""
    bundle: str = ""
    """Sources of one bundle came out of one object and are written as one, in one unit; empty for others."""


Group = list[Source]
"""Sources that stay in one unit: the images of a group, or one image alone."""


@dataclass(frozen=True)
class Unit:
    """A handful of sources that commit together: what a kill may repeat."""

    unit_id: str
    attempt: int
    """0 the first time; ``retry`` counts up."""
    sources: tuple[Source, ...]
    strip: StripTask | None = None
    """What of its one source, where that is a scene: a strip, or the assembly of its strips."""


def unit_of(record: dict[str, Any]) -> Unit:
    """A unit out of one row of the plan's file, or out of its text on the way to a worker.

    The plan's file calls the strip ``part``, as it did before strips had a name of their own.
    """
    members = tuple(Source(**each) for each in record["sources"])
    strip = StripTask.of(record.get("strip", record.get("part")))
    return Unit(record["unit_id"], record["attempt"], members, strip)


def make_unit(recipe_id: str, attempt: int, members: list[Source]) -> Unit:
    """A unit, named by what it holds."""
    ids = sorted(source.source_id for source in members)
    return Unit(short_hash(recipe_id, str(attempt), *ids), attempt, tuple(members))


ASSEMBLY = -1


@dataclass(frozen=True)
class StripTask:
    """A strip of a scene, by its rows, or the assembly of its strips."""

    cuts: tuple[int, ...]
    """The first row of every strip, and the height of the scene."""
    index: int = ASSEMBLY
    """Which strip; ``ASSEMBLY`` for what comes after the last."""

    @classmethod
    def of(cls, record: Mapping[str, Any] | None) -> StripTask | None:
        """Out of plain values, as in the plan's file; nothing out of nothing."""
        return None if record is None else cls(tuple(record["cuts"]), record["index"])

    @property
    def is_assembly(self) -> bool:
        """Whether this is the assembly of the strips."""
        return self.index == ASSEMBLY

    @property
    def rows(self) -> tuple[int, int]:
        """First row of the strip, and the first one after it; all rows for the assembly."""
        return (0, self.cuts[-1]) if self.is_assembly else (self.cuts[self.index], self.cuts[self.index + 1])

    @property
    def strips(self) -> tuple[StripTask, ...]:
        """All strips of the scene, from above."""
        return tuple(replace(self, index=index) for index in range(len(self.cuts) - 1))

    @property
    def assembly(self) -> StripTask:
        """The assembly of the scene's strips."""
        return replace(self, index=ASSEMBLY)

    def unit_id(self, scene_unit: str) -> str:
        """The name of this unit, out of that of the unit which commits the scene's row: the assembly."""
        return scene_unit if self.is_assembly else short_hash(scene_unit, *map(str, self.rows))
