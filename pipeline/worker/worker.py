"""The replica: built once per actor, called once per unit.

Threads fetch and decode -> batches of one shape on the device -> threads encode and store, with bounded
queues between. Nothing of one image reaches another, and nothing is kept between units.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property

import torch

from pipeline.errors import ImageError
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.redaction import Redactor
from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK, Row
from pipeline.privacy.naming import SourceLocator
from pipeline.processing import isolation
from pipeline.processing.batches import BATCH_PIXELS, CPU_BATCH_PIXELS, Batches
from pipeline.processing.cases import Outcome
from pipeline.processing.processor import Processor
from pipeline.quarantine import StagedError, quarantine_columns
from pipeline.scenes.assembly import Assembly
from pipeline.scenes.opener import SceneOpener
from pipeline.scenes.scene_units import Scenes
from pipeline.scenes.strip_work import StripWork
from pipeline.units import Source, Unit
from pipeline.worker import series
from pipeline.worker.encoding import OutputEncoder
from pipeline.worker.loading import Loader
from pipeline.worker.objects import ObjectWriter
from pipeline.worker.thread_window import ThreadWindow


class Worker:
    """``worker(unit)`` degrades, restores, scores and stores a unit's images, commits, returns the rows."""

    def __init__(self, run: RunFolder, device: str = "cpu", threads: int = 2) -> None:
        self.recipe, self.layout, self.ledger = run.recipe, run.layout, run.ledger
        self._run, self._threads = run, threads
        self._attempts = Attempts(run.folder)
        self._redactor = Redactor(run.job)
        self._locator = SourceLocator(run.job)
        self._series = {each.name: each.series for each in run.job.datasets}
        self._processor = Processor(self.recipe, torch.device(device))
        self._row = RowBuilder(run, self._locator, _device_name(device))
        self._batch_pixels = BATCH_PIXELS if device.startswith("cuda") else CPU_BATCH_PIXELS
        self._load = Loader(run.job, self._locator, threads)
        self._writers = ThreadPoolExecutor(threads, thread_name_prefix="write")

    def __call__(self, unit: Unit) -> list[Row]:
        """Rows of every image of the unit; committed when this returns.

        A unit that is committed already, because its answer was lost with a node, is not done again.
        """
        if unit.strip is not None:
            return self._scenes(unit)
        if (rows := self.ledger.rows(unit.unit_id)) is not None:
            return rows
        with self._attempts.counted(unit.unit_id) as together:
            rows = [
                self._redactor.redact(row["dataset"], row, self.ledger.schema)
                for row in self._all_rows(unit, together=together)
            ]
            self.ledger.commit(unit.unit_id, rows)
        return rows

    @cached_property
    def _scenes(self) -> Scenes:
        """For the units of a restore run's scenes."""
        (built,) = self.recipe.restorers
        opener = SceneOpener(self._run.job, self._locator)
        fitted = self._processor.fitted(built.name)
        strip = StripWork(self._run, opener, built, fitted, self._processor.device, self._row.device)
        return Scenes(self._run, strip, Assembly(self._run, opener, built, self._row, self._threads))

    def _all_rows(self, unit: Unit, *, together: bool) -> list[Row]:
        """Rows of the unit: series that contradict themselves, then all others, each whole or not at all."""
        faults = series.check(unit, self._series, self._load.read_head)
        sound = replace(unit, sources=tuple(each for each in unit.sources if each.group not in faults))
        rows = self.process(sound) if together else self._process_apart(sound)
        for source in unit.sources:
            if source.group in faults:
                rows += self._quarantined(source, unit, faults[source.group])
        return series.all_or_nothing(rows, unit, self.layout)

    def process(self, unit: Unit) -> list[Row]:
        """Everything but the commit: objects are in the store when this returns."""
        if unit.strip is not None:
            return self._scenes.process(unit)
        encoder = OutputEncoder(self.recipe, self.layout)
        objects = ObjectWriter(encoder)
        saves: ThreadWindow[Outcome, Row] = ThreadWindow(
            self._writers, 4 * self._threads, lambda outcome: self._save(outcome, unit, objects)
        )
        rows: list[Row] = []
        batches = Batches(batch_pixels=self._batch_pixels)
        for source, loaded in self._load(unit.sources):
            if isinstance(loaded, Exception):
                rows += self._quarantined(source, unit, loaded)
                continue
            if refused := encoder.refuse(loaded):
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
            result = isolation.process(self._run, alone, self._run.job.resources.image_seconds)
            rows += self._quarantined(source, unit, result) if isinstance(result, ImageError) else result
        return rows

    def _save(self, outcome: Outcome, unit: Unit, objects: ObjectWriter) -> Row:
        """Stores what the job keeps of an outcome; its row."""
        row = self._row(outcome.loaded.source, unit, outcome.degradation, outcome.restorer)
        image = outcome.loaded.image
        height, width, channels = image.size
        row |= {"source_bytes": outcome.loaded.size, "source_sha256": outcome.loaded.sha256}
        row |= {"height": height, "width": width, "channels": channels, "dtype": image.domain.dtype}
        row |= outcome.fields
        if outcome.error is not None:
            return row | quarantine_columns(outcome.error, outcome.stage)
        try:
            row |= objects.write(outcome)
        except ImageError as error:
            return row | quarantine_columns(error, "encode")
        except Exception as error:
            return row | quarantine_columns(StagedError.of_writing(error))
        return row | {"status": OK}

    def _quarantined(self, source: Source, unit: Unit, error: Exception) -> list[Row]:
        """An image that failed before any combination: a row for each that it owes."""
        return [
            self._row(source, unit, degradation, restorer) | quarantine_columns(error, "decode")
            for degradation, restorer in self.recipe.combinations
        ]


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"{device} x{torch.get_num_threads()}"
