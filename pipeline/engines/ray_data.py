"""The Ray engine: units through a Ray Data pool of workers, one replica per actor.

Ray schedules, applies back-pressure and restarts actors and lost nodes; what is done is known from the
ledger alone. A row of the dataset is one unit, addresses only: no pixels cross the object store.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
import ray.data
from numpy.typing import NDArray

from pipeline.engines.base import UnitReport
from pipeline.engines.ray_session import LOCAL_CPUS, SESSION
from pipeline.errors import RestoraError, RunStopped, describe
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_units
from pipeline.units import unit_of

MOST_BLOCKS = 4096
"""Ray Data's driver keeps some kilobytes per block; a longer plan has several units in one."""


class RayEngine:
    """``RayEngine(address, workers)``; an address of ``None`` uses ``RAY_ADDRESS`` or starts Ray here."""

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._address = address
        self._workers = workers

    def start(self) -> None:
        """Begins to connect or to start Ray, and returns at once: it comes up while the run is planned."""
        SESSION.start(self._address)

    def stop(self) -> None:
        """Ends a Ray that was started here; leaves a cluster that was there before alone."""
        SESSION.stop()

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Runs the planned units; raises ``RunStopped`` where a worker cannot write the ledger."""
        self.start()
        planned = [{"unit": json.dumps(asdict(unit))} for unit in read_units(run.folder)]
        if not planned:
            return
        SESSION.wait()
        _quieten()
        gpus = _gpus_per_worker(run.job)
        workers = min(self._workers or run.job.resources.workers or default_workers(gpus), len(planned))
        dataset = ray.data.from_items(planned, override_num_blocks=min(len(planned), MOST_BLOCKS))
        del planned
        reports = dataset.map_batches(
            Replica,
            fn_constructor_args=(run, _threads(workers, gpus), gpus > 0),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            num_gpus=gpus or None,
            num_cpus=None if gpus else 1,
        )
        for batch in reports.iter_batches(batch_size=None, prefetch_batches=0):
            for line in batch["report"]:
                fields = json.loads(str(line))
                if "error" in fields:
                    raise RunStopped(fields["error"])
                yield UnitReport(**fields)


class Replica:
    """A worker inside an actor: a batch of one unit in, a batch of one report out."""

    def __init__(self, run: RunFolder, threads: int, on_gpu: bool) -> None:
        import torch

        from pipeline.worker.worker import Worker

        if not on_gpu:
            torch.set_num_threads(threads)
        self._fault = ""
        try:
            self._worker = Worker(run, device="cuda" if on_gpu else "cpu")
        except RestoraError as error:  # told by the first unit: an actor that dies tells it beyond reading
            self._fault = describe(error)

    def __call__(self, batch: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Works through the batch's units; faults of a whole unit come back as text."""
        lines = []
        for record in batch["unit"]:
            unit = unit_of(json.loads(str(record)))
            if self._fault:
                lines.append(json.dumps({"error": self._fault}))
                continue
            try:
                lines.append(UnitReport.of(unit, self._worker(unit)).to_json())
            except Exception as error:
                # Raised here, Ray would wrap it beyond reading; the unit stays uncommitted either way.
                lines.append(json.dumps({"error": f"unit {unit.unit_id}: {describe(error)}"}))
        return {"report": np.array(lines, dtype=object)}


def default_workers(gpus_per_worker: float) -> int:
    """One per GPU of the cluster, else one per CPU core, leaving none to Ray's own logical extra."""
    resources = _cluster()
    if gpus_per_worker:
        return max(1, int(resources.get("GPU", 0) / gpus_per_worker))
    local_cores = os.cpu_count() or 1
    cores = resources.get("CPU", 1.0)
    return max(1, local_cores if cores <= max(LOCAL_CPUS, local_cores) else int(cores) - 1)


def _cluster() -> dict[str, float]:
    """What all nodes together have."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def _gpus_per_worker(job: Job) -> float:
    if job.resources.gpus_per_worker is not None:
        return job.resources.gpus_per_worker
    return 1.0 if _cluster().get("GPU", 0) >= 1 else 0.0


def _threads(workers: int, gpus: float) -> int:
    """Threads of the mathematics of one replica, so that replicas do not fight over the cores."""
    return 0 if gpus else max(1, (os.cpu_count() or 1) // workers)


def _quieten() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    # A large scene may take longer than any default: the ledger, not a clock, says what is done.
    context.execution_no_progress_timeout_s = -1
    logging.getLogger("ray.data").setLevel(logging.ERROR)
