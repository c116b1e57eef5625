"""The local engine: one worker in this process.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from pipeline.engines.base import UnitReport, stopping
from pipeline.planning.plan_files import read_units

if TYPE_CHECKING:  # what starts with every command has no torch
    from pipeline.ledger.run_folder import RunFolder
    from pipeline.units import Unit


class LocalEngine:
    """One worker in this process: for small plans, tests and debugging."""

    name = "local"

    def start(self) -> None:
        """Nothing has to come up."""

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Runs the planned units; ``RunStopped`` where the ledger cannot be written."""
        return self.reports(run, read_units(run.folder))

    def reports(self, run: RunFolder, units: Iterator[Unit]) -> Generator[UnitReport]:
        """The same for these units."""
        import torch

        from pipeline.worker.worker import Worker

        device = "cuda" if torch.cuda.is_available() else "cpu"
        worker = Worker(run, device, run.job.resources.cores_per_worker)
        with closing(worker.stream(units)) as finished:
            for unit, rows in stopping(finished):
                yield UnitReport.of(unit, rows)

    def stop(self) -> None:
        """Nothing runs outside this process."""
