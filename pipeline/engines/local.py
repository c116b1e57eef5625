"""The local engine: a plain loop over one worker in this process.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.engines.base import UnitReport
from pipeline.errors import RunStopped, describe
from pipeline.planning.plan_files import read_units

if TYPE_CHECKING:  # what starts with every command has no torch
    from pipeline.ledger.run_folder import RunFolder


class LocalEngine:
    """A plain loop over one worker in this process: for tests, debugging, and as the honest baseline."""

    def start(self) -> None:
        """Nothing has to come up."""

    def __call__(self, run: RunFolder) -> Iterator[UnitReport]:
        """Runs the planned units one after another; ``RunStopped`` where the ledger cannot be written."""
        import torch

        from pipeline.worker.worker import Worker

        worker = Worker(run, device="cuda" if torch.cuda.is_available() else "cpu")
        for unit in read_units(run.folder):
            try:
                rows = worker(unit)
            except Exception as error:
                raise RunStopped(f"unit {unit.unit_id}: {describe(error)}") from error
            yield UnitReport.of(unit, rows)

    def stop(self) -> None:
        """Nothing runs outside this process."""
