"""Engines: how units reach workers. What they do with them is the worker's affair, and the same.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipeline.errors import RunStopped, describe
from pipeline.ledger.output_errors import cure_of
from pipeline.ledger.schema import OK, Row
from pipeline.units import Unit

if TYPE_CHECKING:  # what starts with every command has no torch
    from pipeline.ledger.run_folder import RunFolder


T = TypeVar("T")


@dataclass(frozen=True)
class UnitReport:
    """What the driver learns of a committed unit: counts, no rows."""

    unit_id: str
    images: int
    quarantined: int
    """Images with at least one quarantined row."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Quarantined images by reason code; one with two reasons counts under both."""
    examples: dict[str, str] = field(default_factory=dict)
    """By reason code the key of such an image, as its row has it: an opaque id where the data are private."""

    @classmethod
    def of(cls, unit: Unit, rows: list[Row]) -> UnitReport:
        """Counts over a unit's rows; a strip of a scene has none, unless the scene was complete with it."""
        images = len(unit.sources) if unit.strip is None else len({row["source_id"] for row in rows})
        bad = [row for row in rows if row["status"] != OK]
        reasons = Counter(reason for _, reason in {(row["source_id"], row["reason"]) for row in bad})
        examples = {row["reason"]: row["key"] for row in reversed(bad)}  # the first row's stays
        return cls(unit.unit_id, images, len({row["source_id"] for row in bad}), dict(reasons), examples)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(vars(self))


class Engine(Protocol):
    """Takes the units of the plan of a run through workers, yielding a report as each commits."""

    @property
    def name(self) -> str:
        """As the run's record has it."""
        ...

    def start(self) -> None:
        """Begins to come up, and returns at once."""
        ...

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Yields in whatever order units finish."""
        ...

    def stop(self) -> None:
        """Ends what runs outside this process; doing it twice does no harm."""
        ...


def stopping(finished: Iterator[T]) -> Iterator[T]:
    """The same; a fault of a whole unit, such as a store that fails, is a ``RunStopped`` that names it."""
    try:
        yield from finished
    except Exception as error:
        where = "".join(f"{note}: " for note in getattr(error, "__notes__", []))
        cure = cure_of(error)
        raise RunStopped(f"{where}{describe(error)}{f'; {cure}' if cure else ''}") from error
