"""Units through a replica without a pause: read ahead, on the device, stored behind, several at a time.

The thread that iterates is the device's: it runs batches and gets finished units in between. Another thread
knows what is under way and says what happens next; fetching, decoding, degrading, encoding and storing are
done by the replica's threads. Nothing of one image reaches another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from pipeline.ledger.attempts import ATTEMPTS_TOGETHER
from pipeline.ledger.schema import Row
from pipeline.processing.cases import Loaded, Outcome
from pipeline.processing.processor import Processor
from pipeline.units import Source, Unit
from pipeline.worker.admission import Admission
from pipeline.worker.device_queue import Batch, DeviceQueue
from pipeline.worker.encoding import OutputEncoder
from pipeline.worker.loading import Loader
from pipeline.worker.objects import Made, ObjectWriter, Pixels
from pipeline.worker.reading import Read, Reader
from pipeline.worker.recorder import Begun, Recorder
from pipeline.worker.rows import Rows
from pipeline.worker.saving import Saver
from pipeline.worker.tasks import Tasks, Threads, raise_it
from pipeline.worker.unit_under_way import UnitUnderWay

ASK_AGAIN = 0.02
"""Seconds until a feed that had no unit is asked again."""

T = TypeVar("T")
Finished = tuple[Unit, list[Row]]


@dataclass(frozen=True)
class Stations:
    """What a unit passes through in one replica."""

    load: Loader
    outputs: OutputEncoder
    processor: Processor
    rows: Rows
    recorder: Recorder
    scenes: Callable[[Unit], list[Row]]
    """A unit of a scene, which commits by itself."""
    apart: Callable[[Unit], list[Row]]
    """A unit that killed its process alone, image by image in processes of their own."""
    batch_pixels: int


class Stream:
    """``for unit, rows in Stream(stations, threads).run(units)``: every unit as it is committed.

    Raises what the recorder raises, with the unit's name in a note. What is under way when the iteration ends
    early is abandoned, and not counted as a death.
    """

    def __init__(self, stations: Stations, threads: Threads) -> None:
        self._stations = stations
        self._tasks = Tasks(threads)
        self._calls: SimpleQueue[Callable[[], Finished | None]] = SimpleQueue()
        """What the iterating thread does next; a unit is handed out, nothing is not."""
        self._of_source: dict[str, UnitUnderWay] = {}
        self._apart = threading.Lock()
        self._is_over = False
        self._reader = Reader(self._tasks, stations.load, stations.outputs, self._read)
        self._saver = Saver(self._tasks, ObjectWriter(stations.outputs), self._saved)
        self._queue = DeviceQueue(
            self._tasks,
            stations.processor,
            stations.batch_pixels,
            self._on_device,
            self._device_waits,
            self._tasks.places,
        )

    def run(self, units: Iterable[Unit | None]) -> Generator[Finished]:
        """``None`` among the units: there are none at this moment."""
        self._admission = Admission(iter(units))
        coordinator = threading.Thread(target=self._coordinate, name="coordinator", daemon=True)
        coordinator.start()
        try:
            while not self._is_over:
                finished = self._calls.get()()
                if finished is not None:
                    yield finished
        finally:
            self._is_over = True
            self._tasks.give_up()
            self._saver.budget.open()
            self._tasks.post(lambda: None)
            coordinator.join()
            self._tasks.wait()
            for each in self._admission.begun:
                with suppress(Exception):  # the store may be what failed; then it counts as one death
                    self._stations.recorder.abandon(each.unit)

    def _coordinate(self) -> None:
        try:
            while not self._is_over:
                self._admit()
                if self._admission.is_over:
                    self._calls.put(self._end)
                    return
                self._tasks.step(ASK_AGAIN if self._admission.is_starved else None)
        except BaseException as error:
            self._calls.put(partial(raise_it, error))

    def _end(self) -> None:
        self._is_over = True

    # Units: begun, alone where they must be, and done.

    def _admit(self) -> None:
        while (unit := self._admission.next()) is not None:
            under_way = UnitUnderWay(unit, len(self._stations.rows.recipe.combinations))
            self._admission.add(under_way)
            if unit.strip is not None:
                self._admission.put_back(under_way)
            else:
                self._tasks.on_network(
                    partial(_named, unit, self._stations.recorder.begin, unit),
                    partial(self._begun, under_way),
                )
        if (alone := self._admission.next_alone()) is not None:
            self._begin_alone(alone)

    def _begun(self, under_way: UnitUnderWay, begun: Begun) -> None:
        unit = under_way.unit
        under_way.begun = begun
        if begun.committed is not None:
            self._done(under_way, begun.committed)
        elif begun.deaths == 0:
            self._start(under_way)
        elif begun.deaths < ATTEMPTS_TOGETHER:
            self._admission.put_back(under_way)
        else:
            under_way.images_ahead = 0
            apart = partial(_named, unit, self._rows_apart, under_way)
            self._tasks.on_network(apart, self._complete, outlasts=True)

    def _begin_alone(self, under_way: UnitUnderWay) -> None:
        unit = under_way.unit
        if unit.strip is not None:
            self._calls.put(partial(self._scene, under_way))
            return
        note = partial(self._stations.recorder.begin_alone, unit, under_way.begun.deaths)
        self._tasks.on_network(partial(_named, unit, note), lambda _: self._start(under_way))

    def _start(self, under_way: UnitUnderWay) -> None:
        sound = self._quarantine_series(under_way)
        for source in sound:
            self._of_source[source.source_id] = under_way
        self._reader.add(sound)
        self._complete(under_way)

    def _quarantine_series(self, under_way: UnitUnderWay) -> list[Source]:
        """Rows of the series that contradict themselves; all other sources."""
        faults, unit = under_way.begun.faults, under_way.unit
        for source in unit.sources:
            if source.group in faults:
                under_way.images_ahead -= 1
                under_way.rows += self._stations.rows.quarantined(source, unit, faults[source.group])
        return [each for each in unit.sources if each.group not in faults]

    def _rows_apart(self, under_way: UnitUnderWay) -> UnitUnderWay:
        sound = self._quarantine_series(under_way)
        with self._apart:  # a process at a time: each may take the memory of a replica
            for source in sound:
                alone = Unit(under_way.unit.unit_id, under_way.unit.attempt, (source,))
                under_way.rows += self._stations.apart(alone)
        return under_way

    def _complete(self, under_way: UnitUnderWay) -> None:
        if under_way.is_complete:
            commit = partial(self._stations.recorder.commit, under_way.unit, under_way.sorted_rows())
            self._tasks.on_network(partial(_named, under_way.unit, commit), partial(self._done, under_way))

    def _done(self, under_way: UnitUnderWay, rows: list[Row]) -> None:
        sources = {each.source_id for each in under_way.unit.sources}
        for each in sources:
            self._of_source.pop(each, None)
        self._saver.forget(sources)
        self._admission.done(under_way)
        self._calls.put(lambda: (under_way.unit, rows))

    # Images: read, on the device, saved.

    def _read(self, source: Source, read: Read) -> None:
        under_way = self._of_source[source.source_id]
        if isinstance(read, Loaded):
            self._queue.add(read)
            return
        under_way.images_ahead -= 1
        if isinstance(read, Exception):
            under_way.rows += self._stations.rows.quarantined(source, under_way.unit, read)
        else:
            under_way.rows += [self._stations.rows.of_outcome(each, under_way.unit) for each in read]
        self._complete(under_way)

    def _on_device(self, batch: Batch) -> None:
        if batch.first:
            for each in batch.images:
                self._of_source[each.source.source_id].images_ahead -= 1
            self._reader.taken(batch.images)
        if self._tasks.places > 1:
            self._tasks.on_device(partial(self._work, batch))
        else:
            self._calls.put(partial(self._work, batch))

    def _device_waits(self) -> None:
        self._admission.read_further_ahead()

    def _saved(self, made: Made, row: Row) -> None:
        under_way = self._of_source[made.source.source_id]
        under_way.rows.append(row)
        self._complete(under_way)

    # On the iterating thread; batches on others where the device has more than one place.

    def _scene(self, under_way: UnitUnderWay) -> None:
        rows = _named(under_way.unit, self._stations.scenes, under_way.unit)
        self._tasks.post(partial(self._done, under_way, rows))

    def _work(self, batch: Batch) -> None:
        layout, kept = self._stations.outputs.layout, set[str]()
        for outcome in self._stations.processor.restored(batch.in_order(), batch.degradation):
            source_id, pixels = outcome.loaded.source.source_id, Pixels()
            if outcome.error is None and layout.keeps_restored:
                pixels = Pixels(outcome.restored, downloads=(outcome.download,))
            if outcome.uncertainty is not None:
                pixels = pixels.and_uncertainty(*outcome.uncertainty)
            if outcome.error is None and layout.keeps_degraded and source_id not in kept:
                assert outcome.case is not None
                pixels = pixels.and_degraded(*outcome.case.degraded_later())
                kept.add(source_id)
            self._saver.budget.take(pixels.bytes)
            # Without the tensors.
            self._tasks.post(partial(self._save, replace(outcome, case=None, uncertainty=None), pixels))
        self._tasks.post(partial(self._queue.done, batch))

    def _save(self, outcome: Outcome, pixels: Pixels) -> None:
        loaded = outcome.loaded
        unit = self._of_source[loaded.source.source_id].unit
        made = Made(
            source=loaded.source,
            source_sha256=loaded.sha256,
            row=self._stations.rows.of_outcome(outcome, unit),
            pixels=pixels,
            left_out=self._stations.outputs.left_out(loaded.image),
        )
        self._saver.add(made)


def _named(unit: Unit, work: Callable[..., T], *arguments: object) -> T:
    """What the work gives; what it raises, with the unit's name."""
    try:
        return work(*arguments)
    except Exception as error:
        error.add_note(f"unit {unit.unit_id}")
        raise
