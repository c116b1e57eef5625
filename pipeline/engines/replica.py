"""A worker inside a Ray actor: units come by their place in the plan's file, on several threads at a time.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.base import UnitReport, stopping
from pipeline.errors import RestoraError, describe
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import PlannedUnits
from pipeline.units import Unit


class Replica:
    """A batch with the places of units in, a batch with their reports out, once all are committed.

    Every call waits on a thread of its own; one stream works through the units of all.
    """

    def __init__(self, run: RunFolder, threads: int, on_gpu: bool) -> None:
        import torch

        from pipeline.worker.worker import Worker

        if not on_gpu:
            torch.set_num_threads(threads)
        self._fault: str | None = None
        try:
            self._worker = Worker(run, device="cuda" if on_gpu else "cpu", cores=threads)
        except RestoraError as error:  # told by the first unit: an actor that dies tells it beyond reading
            self._fault = json.dumps({"error": describe(error)})
        self._planned = PlannedUnits(run.folder)
        self._changed = threading.Lock()
        self._waiting: SimpleQueue[Unit] = SimpleQueue()
        self._reports: dict[str, Future[str]] = {}
        if self._fault is None:
            threading.Thread(target=self._run, name="stream", daemon=True).start()

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Faults of a whole unit come back as text: raised here, Ray would wrap them beyond reading."""
        reports = [self._report(int(place)) for place in batch["place"]]
        return {"report": np.array([each.result() for each in reports], dtype=object)}

    def _report(self, place: int) -> Future[str]:
        report: Future[str] = Future()
        with self._changed:
            if self._fault is not None:
                report.set_result(self._fault)
            else:
                unit = self._planned[place]
                self._reports[unit.unit_id] = report
                self._waiting.put(unit)
        return report

    def _run(self) -> None:
        try:
            with closing(self._worker.stream(self._feed())) as finished:
                for unit, rows in stopping(finished):
                    report = UnitReport.of(unit, rows).to_json()
                    with self._changed:
                        self._reports.pop(unit.unit_id).set_result(report)
        except BaseException as error:
            with self._changed:
                self._fault = json.dumps({"error": str(error) or describe(error)})
                for each in self._reports.values():
                    each.set_result(self._fault)

    def _feed(self) -> Iterator[Unit | None]:
        while True:
            try:
                yield self._waiting.get_nowait()
            except Empty:
                yield None
