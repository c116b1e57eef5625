"""The replica: built once per actor, called once per unit.

Threads fetch and decode -> batches of one shape on the device -> threads encode and store, with bounded
queues between. Nothing of one image reaches another, and nothing is kept between units.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

import torch

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Job
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.layout import Layout
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.schema import OK, QUARANTINED, Row
from pipeline.privacy.datasets import folder_of
from pipeline.privacy.medical import Privacy
from pipeline.processing import isolation
from pipeline.processing.batches import BATCH_PIXELS, CPU_BATCH_PIXELS, Batches
from pipeline.processing.cases import Loaded, Outcome
from pipeline.processing.processor import Processor
from pipeline.quarantine import _FETCH, _write_fault, read_failure, reason_and_message
from pipeline.recipe.recipe import Recipe
from pipeline.scenes.joining import Joining
from pipeline.scenes.opener import SceneFolders
from pipeline.scenes.reader import refuse_too_large
from pipeline.scenes.scene_units import Scenes
from pipeline.scenes.strip_work import StripWork
from pipeline.storage.folder import Folder
from pipeline.units import Source, Unit
from pipeline.version import code_version
from pipeline.worker import series
from pipeline.worker.encoding import Outputs
from pipeline.worker.objects import Objects

LOOKED_INTO = 1 << 28
"""Bytes above which the header is read before the rest: a scene that is too large is not fetched."""


class Worker:
    """``worker(unit)`` degrades, restores, scores and stores a unit's images, commits, returns the rows."""

    def __init__(self, job: Job, books: Folder, device: str = "cpu", threads: int = 2) -> None:
        self.recipe = Recipe.of(job)
        self.layout = Layout.of(job, self.recipe.recipe_id)
        self.ledger = Ledger.of(job, books, self.recipe.recipe_id)
        self._job, self._books, self._threads = job, books, threads
        self._attempts = Attempts(books)
        self._folders = {each.name: folder_of(each) for each in job.datasets}
        self._privacy = Privacy(job)
        self._series = {each.name: each.series for each in job.datasets}
        self._digests = {built.name: built.sha256 for built in self.recipe.restorers}
        self._processor = Processor(self.recipe, torch.device(device))
        self._device = _device_name(device)
        self._batch_pixels = BATCH_PIXELS if device.startswith("cuda") else CPU_BATCH_PIXELS
        self._readers = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix="write")

    def __call__(self, unit: Unit) -> list[Row]:
        """Rows of every image of the unit; committed when this returns.

        A unit that is committed already, because its answer was lost with a node, is not done again.
        """
        if unit.part is not None:
            return self._scenes(unit)
        if (rows := self.ledger.rows(unit.unit_id)) is not None:
            return rows
        with self._attempts.counted(unit.unit_id) as together:
            rows = self._privacy.shown(self._processed(unit, together=together), self.ledger)
            self.ledger.commit(unit.unit_id, rows)
        return rows

    @cached_property
    def _scenes(self) -> Scenes:
        """For the units of a restore run's scenes."""
        (built,) = self.recipe.restorers
        recipe_id, folders = self.recipe.recipe_id, SceneFolders(self._job, self._folders, self._privacy)
        fitted = self._processor.fitted(built.name)
        strip = StripWork(
            self._job, self._books, folders, built, fitted, self._processor.device, self._device
        )
        joining = Joining(self._books, folders, built, self.layout, recipe_id, self._row, self._threads)
        return Scenes(recipe_id, strip, joining, self.ledger)

    def _processed(self, unit: Unit, *, together: bool) -> list[Row]:
        """Rows of the unit: series that contradict themselves, then all others, each whole or not at all."""
        faults = series.check(unit, self._series, self._read_head)
        sound = replace(unit, sources=tuple(each for each in unit.sources if each.group not in faults))
        rows = self.process(sound) if together else self._process_apart(sound)
        for source in unit.sources:
            if source.group in faults:
                rows += self._quarantined(source, unit, faults[source.group])
        return series.settled(rows, unit, self.layout)

    def process(self, unit: Unit) -> list[Row]:
        """Everything but the commit: objects are in the store when this returns."""
        if unit.part is not None:
            return self._scenes.process(unit)
        outputs = Outputs(self.recipe, self.layout)
        objects = Objects(outputs)
        saves = _Window(self._writers, 4 * self._threads, lambda outcome: self._save(outcome, unit, objects))
        rows: list[Row] = []
        batches = Batches(batch_pixels=self._batch_pixels)
        for source, loaded in self._loaded(unit.sources):
            if isinstance(loaded, Exception):
                rows += self._quarantined(source, unit, loaded)
                continue
            if refused := outputs.refused(loaded):
                rows += saves.feed(refused)
                continue
            for batch in batches.add(loaded):
                rows += saves.feed(self._processor(batch))
        for batch in batches.rest():
            rows += saves.feed(self._processor(batch))
        rows += saves.rest()
        return sorted(rows, key=lambda row: (row["dataset"], row["key"], row["degradation"], row["restorer"]))

    def _process_apart(self, unit: Unit) -> list[Row]:
        rows: list[Row] = []
        for source in unit.sources:
            alone = Unit(unit.unit_id, unit.attempt, (source,))
            result = isolation.process(self._job, self._books, alone, self._job.resources.image_seconds)
            rows += self._quarantined(source, unit, result) if isinstance(result, ImageError) else result
        return rows

    def _loaded(self, sources: Iterable[Source]) -> Iterator[tuple[Source, Loaded | Exception]]:
        window: deque[tuple[Source, Future[Loaded]]] = deque()
        for source in sources:
            window.append((source, self._readers.submit(self._load, source)))
            if len(window) > 2 * self._threads:
                yield _taken(window.popleft())
        while window:
            yield _taken(window.popleft())

    def _read_head(self, source: Source) -> bytes:
        return series.whole_head(self._folders[source.dataset], self._privacy.real_key(source))

    def _load(self, source: Source) -> Loaded:
        folder, key = self._folders[source.dataset], self._privacy.real_key(source)
        limits = Limits(self._job.limits.max_pixels)
        try:
            if source.size > LOOKED_INTO:
                refuse_too_large(folder, key, limits)
            data = folder.read(key)
        except ImageError:
            raise
        except Exception as error:
            raise read_failure(error) from error
        if 0 <= source.size != len(data):
            raise ImageError("CHANGED", f"{source.size} bytes listed, {len(data)} read; run the job again")
        self._privacy.check(source, data)
        image = decode(data, limits)
        return Loaded(source, sha256_hex(data), len(data), image)

    def _save(self, outcome: Outcome, unit: Unit, objects: Objects) -> Row:
        """Stores what the job keeps of an outcome; its row."""
        row = self._row(outcome.loaded.source, unit, outcome.degradation, outcome.restorer)
        image = outcome.loaded.image
        height, width, channels = image.size
        row |= {"source_bytes": outcome.loaded.size, "source_sha256": outcome.loaded.sha256}
        row |= {"height": height, "width": width, "channels": channels, "dtype": image.domain.dtype}
        row |= outcome.fields
        if outcome.error is not None:
            return row | _fault(outcome.error, outcome.stage)
        try:
            row |= objects.stored(outcome)
        except ImageError as error:
            return row | _fault(error, "encode")
        except Exception as error:
            return row | {"status": QUARANTINED, "stage": "write"} | _write_fault(error)
        return row | {"status": OK}

    def _quarantined(self, source: Source, unit: Unit, error: Exception) -> list[Row]:
        """An image that failed before any combination: a row for each that it owes."""
        stage = "fetch" if isinstance(error, ImageError) and error.reason in _FETCH else "decode"
        if isinstance(error, ImageError) and error.reason in ("CRASHED", "TIMED_OUT"):
            stage = "process"
        return [
            self._row(source, unit, degradation, restorer) | _fault(error, stage)
            for degradation, restorer in self.recipe.combinations
        ]

    def _row(self, source: Source, unit: Unit, degradation: str, restorer: str) -> Row:
        return {
            "dataset": source.dataset,
            "key": source.key,
            "source_id": source.source_id,
            "source_uri": None if source.sealed else self._folders[source.dataset].uri(source.key),
            "source_bytes": source.size if source.size >= 0 else None,
            "degradation": degradation,
            "restorer": restorer,
            "restorer_sha256": self._digests.get(restorer),
            "recipe_id": self.recipe.recipe_id,
            "unit_id": unit.unit_id,
            "attempt": unit.attempt,
            "device": self._device,
            "code_version": code_version(),
            "finished_at": datetime.now(UTC),
        }


class _Window:
    """Hands work to a pool and takes results in order, so many under way at a time and not more."""

    def __init__(self, pool: ThreadPoolExecutor, most: int, work: Callable[[Outcome], Row]) -> None:
        self._pool, self._most, self._work = pool, most, work
        self._futures: deque[Future[Row]] = deque()

    def feed(self, outcomes: Iterable[Outcome]) -> Iterator[Row]:
        for outcome in outcomes:
            self._futures.append(self._pool.submit(self._work, outcome))
            while len(self._futures) > self._most:
                yield self._futures.popleft().result()

    def rest(self) -> Iterator[Row]:
        while self._futures:
            yield self._futures.popleft().result()


def _fault(error: Exception, stage: str) -> Row:
    reason, message = reason_and_message(error)
    return {"status": QUARANTINED, "reason": reason, "stage": stage, "message": message}


def _taken(item: tuple[Source, Future[Loaded]]) -> tuple[Source, Loaded | Exception]:
    source, future = item
    try:
        return source, future.result()
    except Exception as error:
        return source, error


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"{device} x{torch.get_num_threads()}"
