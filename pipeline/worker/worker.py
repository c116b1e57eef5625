"""The replica: built once per actor. ``stream.py`` says what happens to its units."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from functools import cached_property

import torch

from pipeline.errors import ImageError
from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import Row
from pipeline.privacy.naming import SourceLocator
from pipeline.processing import isolation
from pipeline.processing.batches import BATCH_PIXELS, CPU_BATCH_PIXELS
from pipeline.processing.processor import Processor
from pipeline.recipe.plugins import refuse_other_plugins
from pipeline.scenes.assembly import Assembly
from pipeline.scenes.opener import SceneOpener
from pipeline.scenes.scene_units import Scenes
from pipeline.scenes.strip_work import StripWork
from pipeline.units import Unit
from pipeline.worker.device_queue import places_on
from pipeline.worker.encoding import OutputEncoder
from pipeline.worker.freed_memory import keep_freed_memory
from pipeline.worker.loading import Loader
from pipeline.worker.recorder import NoRecorder, Recorder, RunRecorder
from pipeline.worker.rows import Rows
from pipeline.worker.stream import Finished, Stations, Stream
from pipeline.worker.tasks import Threads


class Worker:
    """``worker.stream(units)`` degrades, restores, scores and stores the units' images, and commits them.

    ``cores``: how many threads decode, degrade and encode; ``None``: as many as this machine has cores.
    ``places``: batches on the device at a time; ``None``: as many as it gains from.
    """

    def __init__(
        self, run: RunFolder, device: str = "cpu", cores: int | None = None, places: int | None = None
    ) -> None:
        refuse_other_plugins(run.recipe.plugins, run.specification)
        keep_freed_memory()
        self.recipe, self.layout, self.ledger = run.recipe, run.layout, run.ledger
        machine = os.cpu_count() or 1
        self._run, self._cores = run, cores or machine
        self._locator = SourceLocator(run.job)
        # Replicas on one machine share its memory as they share its cores.
        share = min(1.0, self._cores / machine)
        self._processor = Processor(self.recipe, torch.device(device), memory_share=share)
        self._rows = Rows(self.recipe, RowBuilder(run, self._locator, _device_name(device)))
        self._batch_pixels = BATCH_PIXELS if device.startswith("cuda") else CPU_BATCH_PIXELS
        self._load = Loader(run.job, self._locator)
        self._threads = Threads(self._cores, places or places_on(self._processor.device, self.recipe))

    def stream(self, units: Iterable[Unit | None]) -> Generator[Finished]:
        """Every unit with its rows, as it is committed; several are under way at a time.

        ``None`` among the units: there are none at this moment. A unit that is committed already, because
        its answer was lost with a node, is not done again.
        """
        return Stream(self._stations(RunRecorder(self._run, self._load)), self._threads).run(units)

    def __call__(self, unit: Unit) -> list[Row]:
        """The rows of one unit, committed when this returns."""
        ((_, rows),) = self.stream([unit])
        return rows

    def process(self, unit: Unit) -> list[Row]:
        """Everything but the commit: objects are in the store when this returns."""
        if unit.strip is not None:
            return self._scenes.process(unit)
        ((_, rows),) = Stream(self._stations(NoRecorder()), self._threads).run([unit])
        return rows

    def _stations(self, recorder: Recorder) -> Stations:
        return Stations(
            load=self._load,
            outputs=OutputEncoder(self.recipe, self.layout),
            processor=self._processor,
            rows=self._rows,
            recorder=recorder,
            scenes=lambda unit: self._scenes(unit),
            apart=self._apart,
            batch_pixels=self._batch_pixels,
        )

    @cached_property
    def _scenes(self) -> Scenes:
        """For the units of a restore run's scenes."""
        (built,) = self.recipe.restorers
        opener = SceneOpener(self._run.job, self._locator)
        fitted = self._processor.fitted(built.name)
        strip = StripWork(self._run, opener, built, fitted, self._processor.device, self._rows.row.device)
        return Scenes(self._run, strip, Assembly(self._run, opener, built, self._rows.row, self._cores))

    def _apart(self, unit: Unit) -> list[Row]:
        """A unit of one image in a process of its own."""
        result = isolation.process(self._run, unit, self._run.job.resources.image_seconds)
        (source,) = unit.sources
        return self._rows.quarantined(source, unit, result) if isinstance(result, ImageError) else result


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"{device} x{torch.get_num_threads()}"
