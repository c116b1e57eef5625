"""The engine that is chosen as a run goes: this process, and Ray where it pays.

It works in this process, and goes over to Ray when what is left would take longer than half a minute here, on
a machine with several cores and no GPU. With an address, several workers or several GPUs it is Ray from the
start; with one GPU, which this process has to itself, it never is.

Imports for types alone, or inside functions, keep torch and Ray out of the start-up of the driver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING

from pipeline.engines.base import UnitReport
from pipeline.engines.local import LocalEngine
from pipeline.engines.taking_over import Beside, Feed
from pipeline.planning.plan_files import PlannedUnits

if TYPE_CHECKING:  # what starts with every command has neither torch nor Ray
    from pipeline.engines.ray_data import RayEngine
    from pipeline.ledger.run_folder import RunFolder

PAYS = 30.0
"""Seconds that must be left in this process for Ray, which takes ten to come up, to be worth it."""
SURE = 4.0
"""Seconds of work before its pace says what is left."""
MEANWHILE = 10.0
"""Seconds of work that this process keeps for itself while the actors of Ray start."""


class AutoEngine:
    """``AutoEngine(address, workers)``: where either is given, as the Ray engine takes them."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._address, self._workers = address or os.environ.get("RAY_ADDRESS"), workers
        self._local = LocalEngine()
        self._started: RayEngine | None = None

    @property
    def name(self) -> str:
        """What it came to."""
        return "ray" if self._started else "local"

    def start(self) -> None:
        """Ray begins to come up where it is known to be used."""
        if self._address or (self._workers or 1) > 1:
            self._ray().start()

    def stop(self) -> None:
        """Ends a Ray that was started here."""
        if self._started is not None:
            self._started.stop()

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Runs the planned units; raises ``RunStopped`` where the ledger cannot be written."""
        import torch

        workers = self._workers or run.job.resources.workers
        if self._address or (workers or 1) > 1 or torch.cuda.device_count() > 1:
            return self._ray()(run)
        if 1 in (workers, os.cpu_count()) or torch.cuda.is_available():
            return self._local(run)
        return go_over(run, self._local, self._ray)

    def _ray(self) -> RayEngine:
        if self._started is None:
            from pipeline.engines.ray_data import RayEngine

            self._started = RayEngine(self._address, self._workers)
        return self._started


def go_over(run: RunFolder, local: LocalEngine, ray: Callable[[], RayEngine]) -> Generator[UnitReport]:
    """Every unit, by this process and, once there is enough left, by Ray from some place in the plan on."""
    planned = PlannedUnits(run.folder)
    feed, total = Feed(planned), planned.images
    beside: Beside | None = None
    images = units = 0
    with closing(local.reports(run, iter(feed))) as reports:
        for report in reports:
            yield report
            images, units = images + report.images, units + 1
            seconds = feed.seconds
            if beside is None:
                if images and seconds > SURE and seconds / images * (total - images) > PAYS:
                    beside = Beside(run, ray)
                continue
            if beside.waits:
                beside.begin(feed.cut(keep=1 + int(units / seconds * MEANWHILE)))
            yield from beside.so_far()
    if beside is not None:
        yield from beside.rest()
