"""What one replica needs of a Ray cluster, how many the cluster holds, and so how large the pool is."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray

from pipeline.engines.ray_session import SESSION
from pipeline.jobs.job import Job

LOG = logging.getLogger(__name__)
Node = Mapping[str, float]
"""Resources of a node by Ray's names."""


@dataclass(frozen=True)
class Needs:
    """Of one replica."""

    cores: int
    """Logical cores that Ray is asked for."""
    gpus: float
    chosen: bool
    """Whether the job says how many cores."""


@dataclass(frozen=True)
class Pool:
    """Replicas, and what each gets."""

    least: int
    """Started as soon as there is room."""
    most: int
    """Started if there is room once the others have all they can hold."""
    cores: int
    gpus: float
    threads: int
    """Of one replica, that work on cores: so many that replicas do not fight over them."""


def pool_of(job: Job, asked: int | None, units: int) -> Pool:
    """The pool for so many units; says so where the cluster holds fewer replicas than were asked for."""
    nodes = _nodes()
    needs = needs_of(job, nodes)
    held = max(1, places(nodes, needs))
    if SESSION.is_local:
        held = min(held, max(1, int((os.cpu_count() or 1) / needs.cores))) if not needs.gpus else held
    if asked is not None and asked > held:
        LOG.warning("--workers %d: there is room for %d at a time; so many are started", asked, held)
    if SESSION.is_local:
        most = least = min(asked or held, held, units)
    else:  # what was asked for waits for room, which is how a cluster knows that it is to grow
        least, most = min(asked or held, units), min(asked or units, units)
    threads = needs.cores
    if SESSION.is_local and not needs.chosen and not needs.gpus:
        threads = max(1, (os.cpu_count() or 1) // least)
    return Pool(least, most, needs.cores, needs.gpus, threads)


def needs_of(job: Job, nodes: list[Node]) -> Needs:
    """As the job says; else a GPU with its share of its node's cores where there are GPUs, else a core."""
    gpus, cores = job.resources.gpus_per_worker, job.resources.cores_per_worker
    with_gpu = [each for each in nodes if each.get("GPU", 0) >= 1]
    if gpus is None:
        gpus = 1.0 if with_gpu else 0.0
    if cores is not None:
        return Needs(cores, gpus, chosen=True)
    shares = [int(each.get("CPU", 1) / each["GPU"] * gpus) for each in with_gpu if gpus]
    return Needs(max(1, min(shares, default=1)), gpus, chosen=False)


def places(nodes: list[Node], needs: Needs) -> int:
    """How many replicas all nodes together hold, if nothing else runs on them."""
    return sum(_on_node(each, needs) for each in nodes)


def _on_node(resources: Node, needs: Needs) -> int:
    held = int(resources.get("CPU", 0) / needs.cores)
    if needs.gpus:
        whole = int(resources.get("GPU", 0))
        # Ray puts no replica on parts of two GPUs.
        gpus = int(whole / needs.gpus) if needs.gpus >= 1 else whole * int(1 / needs.gpus + 1e-9)
        held = min(held, gpus)
    return held


def _nodes() -> list[Node]:
    alive: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [each["Resources"] for each in alive if each["Alive"]]
