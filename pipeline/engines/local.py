"""The local engine: one worker in this process.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from pipeline.engines.base import UnitReport, stopping
from pipeline.planning.plan_files import read_units

if TYPE_CHECKING:  # what starts with every command has no torch
    from pipeline.ledger.run_folder import RunFolder


class LocalEngine:
    """One worker in this process: for small plans, tests and debugging."""

    def start(self) -> None:
        """Nothing has to come up."""

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Runs the planned units; ``RunStopped`` where the ledger cannot be written."""
        import torch

        from pipeline.worker.worker import Worker

        device = "cuda" if torch.cuda.is_available() else "cpu"
        worker = Worker(run, device, run.job.resources.cores_per_worker)
        with closing(worker.stream(read_units(run.folder))) as finished:
            for unit, rows in stopping(finished):
                yield UnitReport.of(unit, rows)

    def stop(self) -> None:
        """Nothing runs outside this process."""
