"""What a replica notes of its units: that they are begun, and that they are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.errors import ImageError
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.redaction import Redactor
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import Row
from pipeline.processing.finishing import finish
from pipeline.units import Unit
from pipeline.worker import series
from pipeline.worker.loading import Loader


@dataclass(frozen=True)
class Begun:
    """What is known of a unit as it begins."""

    deaths: int = 0
    """How often it was under way when its process died."""
    committed: list[Row] | None = None
    """Its rows, where it is done already: its answer was lost with a node."""
    faults: Mapping[str, ImageError] = field(default_factory=dict)
    """What is wrong with its series, by group."""


class Recorder(Protocol):
    """On any thread; raises what the store raises."""

    def begin(self, unit: Unit) -> Begun:
        """Notes that it is under way."""
        ...

    def begin_alone(self, unit: Unit, deaths: int) -> None:
        """Notes that it is tried once more, with nothing else under way."""
        ...

    def commit(self, unit: Unit, rows: list[Row]) -> list[Row]:
        """Makes it done; its rows as they are committed. Objects are in the store already."""
        ...

    def abandon(self, unit: Unit) -> None:
        """It was left on purpose, which is no death."""
        ...


class RunRecorder:
    """The run folder's attempts and ledger."""

    def __init__(self, run: RunFolder, load: Loader) -> None:
        self._run, self._load = run, load
        self._attempts, self._redactor = Attempts(run.folder), Redactor(run.job)
        self._policies = {each.name: each.series for each in run.job.datasets}

    def begin(self, unit: Unit) -> Begun:
        """One request, and those for the heads of series."""
        deaths = self._attempts.begin(unit.unit_id)
        if deaths and (rows := self._run.ledger.rows(unit.unit_id)) is not None:
            return Begun(deaths, rows)
        return Begun(deaths, faults=series.check(unit, self._policies, self._load.read_head))

    def begin_alone(self, unit: Unit, deaths: int) -> None:
        """One request."""
        self._attempts.begin_again(unit.unit_id, deaths)

    def commit(self, unit: Unit, rows: list[Row]) -> list[Row]:
        """One request, and what the outlet still owes."""
        ledger = self._run.ledger
        rows = series.all_or_nothing(rows, unit, self._run.layout)
        rows = finish(unit, rows, self._run.layout.outlet, self._load.locate)
        rows = [self._redactor.redact(row["dataset"], row, ledger.schema) for row in rows]
        ledger.commit(unit.unit_id, rows)
        return rows

    def abandon(self, unit: Unit) -> None:
        """One request."""
        self._attempts.end(unit.unit_id)


class NoRecorder:
    """For a unit that another process commits."""

    def begin(self, unit: Unit) -> Begun:
        """Nothing is known."""
        return Begun()

    def begin_alone(self, unit: Unit, deaths: int) -> None:
        """Nothing is noted."""

    def commit(self, unit: Unit, rows: list[Row]) -> list[Row]:
        """The rows as they are."""
        return rows

    def abandon(self, unit: Unit) -> None:
        """Nothing was noted."""
