"""The Ray engine: units through a Ray Data pool of actors, one replica an actor.

Ray schedules, applies back-pressure, grows the pool and restarts actors and lost nodes; what is done is
known from the ledger alone. A row of the dataset is the place of a unit in the plan's file: no addresses and
no pixels cross the object store. An actor has several units in hand, and each is reported as it commits.

Imports for types alone, or inside functions, keep torch out of the start-up of the driver.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from itertools import pairwise

import pyarrow as pa
import ray
import ray.data

from pipeline.engines.base import UnitReport
from pipeline.engines.ray_cluster import Pool, pool_of
from pipeline.engines.ray_session import SESSION
from pipeline.engines.ray_watch import RayWatch
from pipeline.engines.replica import Replica
from pipeline.errors import RunStopped
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import PlannedUnits

MOST_BLOCKS = 4096
"""Ray Data's driver keeps some kilobytes per block; a longer plan has several units in one."""
MOST_IN_HAND = 10
"""Units that Ray hands an actor at a time: those under way in its stream, and two that wait for it."""
MOST_REPORTS = 50_000
"""Ray Data's driver keeps 2 kB of each; where there are more units, they are reported by several."""
ROUNDS = 4
"""How often a worker is handed units at least, where the plan is long enough, so that none waits for another
at the end."""


class RayEngine:
    """``RayEngine(address, workers)``; an address of ``None`` uses ``RAY_ADDRESS`` or starts Ray here."""

    name = "ray"

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._address = address
        self._workers = workers

    def start(self) -> None:
        """Begins to connect or to start Ray, and returns at once: it comes up while the run is planned."""
        SESSION.start(self._address)

    def stop(self) -> None:
        """Ends a Ray that was started here; leaves a cluster that was there before alone."""
        SESSION.stop()

    def wait(self) -> None:
        """Until Ray is there. ``JobError`` where it cannot be had."""
        SESSION.wait()

    def __call__(self, run: RunFolder) -> Generator[UnitReport]:
        """Runs the planned units; raises ``RunStopped`` where a worker cannot write the ledger."""
        return self.reports(run)

    def reports(self, run: RunFolder, first: int = 0) -> Generator[UnitReport]:
        """The same for the units from a place in the plan on."""
        self.start()
        places = range(first, len(PlannedUnits(run.folder)))
        if not places:
            return
        self.wait()
        _set_context()
        pool = pool_of(run.job, self._workers or run.job.resources.workers, len(places))
        watch = SESSION.watch or RayWatch()  # a caller may have connected by itself
        for line in watch.over(lambda: _lines(_dataset(run, places, pool))):
            fields = json.loads(line)
            if "error" in fields:
                raise RunStopped(fields["error"])
            yield UnitReport(**fields)


def _lines(reports: ray.data.Dataset) -> Iterator[str]:
    # No batches: their threads let go of blocks when they like, which ends the process where Ray is gone.
    for bundle in reports.iter_internal_ref_bundles():
        for block in ray.get(list(bundle.block_refs)):
            yield from map(str, block["report"].to_pylist())


def _dataset(run: RunFolder, places: range, pool: Pool) -> ray.data.Dataset:
    together = -(-len(places) // MOST_REPORTS)
    in_hand = max(2, min(MOST_IN_HAND, len(places) // (ROUNDS * pool.most * together)))
    units: ray.data.Dataset = ray.data.from_blocks(_blocks(places))
    reports: ray.data.Dataset = units.map_batches(
        Replica,
        fn_constructor_args=(run, pool.threads, pool.gpus > 0),
        batch_size=together,
        compute=ray.data.ActorPoolStrategy(
            min_size=pool.least,
            max_size=pool.most,
            max_tasks_in_flight_per_actor=in_hand,
            max_concurrent_calls_per_actor=in_hand,
            enable_true_multi_threading=True,
        ),
        num_cpus=pool.cores,
        num_gpus=pool.gpus or None,
    )
    return reports


def _blocks(places: range) -> list[pa.Table]:
    """The places, in blocks of neighbours."""
    blocks = min(len(places), MOST_BLOCKS)
    cuts = [places.start + len(places) * block // blocks for block in range(blocks + 1)]
    return [pa.table({"place": pa.array(range(*ends))}) for ends in pairwise(cuts)]


def _set_context() -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    # A large scene may take longer than any default: the ledger, not a clock, says what is done.
    context.execution_no_progress_timeout_s = -1
    # A report leaves its actor at once, and not when a block of them is full.
    context.target_max_block_size, context.target_min_block_size = 1, 0
    # All that is in hand is under way: a pool whose actors are full may grow.
    context.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    logging.getLogger("ray.data").setLevel(logging.ERROR)
