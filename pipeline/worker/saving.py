"""Encodes and stores what the device made, and completes its rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.ledger.schema import OK, Row
from pipeline.worker.budgets import RESTORED_BYTES, WaitingBudget
from pipeline.worker.objects import Encoded, Made, ObjectWriter
from pipeline.worker.tasks import Tasks, Turn

Then = Callable[[Row], None]


class DegradedObject:
    """An object that several restorers' rows name; it is stored once."""

    def __init__(self) -> None:
        self._columns: Row | None = None
        self._waiting: list[Then] = []

    def when_stored(self, then: Then) -> None:
        """Calls ``then`` with its columns, now or later."""
        if self._columns is None:
            self._waiting.append(then)
        else:
            then(self._columns)

    def stored(self, columns: Row) -> None:
        """It is in the store, or could not be stored."""
        self._columns = columns
        for then in self._waiting:
            then(columns)


class Saver:
    """``add(made)`` stores what the job keeps; ``saved(made, row)`` gets the whole row."""

    def __init__(self, tasks: Tasks, objects: ObjectWriter, saved: Callable[[Made, Row], None]) -> None:
        self._tasks, self._objects, self._saved = tasks, objects, saved
        self._layout = objects.layout
        self._degraded: dict[tuple[str, str], DegradedObject] = {}
        self.budget = WaitingBudget(RESTORED_BYTES)
        """Whoever adds takes the bytes first."""

    def add(self, made: Made) -> None:
        """Goes through encoding and storing, unless it failed before."""
        if "status" in made.row:
            self._finish(made, Row())
        elif self._layout.keeps_degraded:
            key = made.source.source_id, made.row["degradation"]
            stored = self._degraded.setdefault(key, DegradedObject())
            if made.pixels.degraded is not None:
                self._store(partial(self._objects.encode_degraded, made), stored.stored)
            stored.when_stored(partial(self._on_degraded, made))
        elif made.pixels.uncertainty is not None:
            self._store(partial(self._objects.encode_uncertainty, made), partial(self._save_restored, made))
        else:
            self._save_restored(made, Row())

    def forget(self, source_ids: set[str]) -> None:
        """Their unit is committed."""
        self._degraded = {key: each for key, each in self._degraded.items() if key[0] not in source_ids}

    def _on_degraded(self, made: Made, columns: Row) -> None:
        if "status" in columns:
            self._finish(made, columns)
            return
        if self._layout.kind == "degrade":
            columns = columns | {name.replace("degraded", "output"): each for name, each in columns.items()}
        self._save_restored(made, columns)

    def _save_restored(self, made: Made, columns: Row) -> None:
        if made.pixels.restored is None or "status" in columns:
            self._finish(made, columns)
            return
        self._store(
            partial(self._objects.encode_restored, made), lambda more: self._finish(made, columns | more)
        )

    def _store(self, encode: Callable[[], Encoded | Row], then: Then) -> None:
        def put(encoded: Encoded | Row) -> None:
            if isinstance(encoded, Encoded):
                self._tasks.on_network(partial(self._objects.put, encoded), then)
            else:
                then(encoded)

        self._tasks.on_cores(Turn.ENCODE, encode, put)

    def _finish(self, made: Made, columns: Row) -> None:
        self.budget.give_back(made.pixels.bytes)
        row = made.row | columns
        if "status" not in row:
            row |= {"message": made.left_out} if columns else {}
            row |= {"status": OK}
        self._saved(made, row)
