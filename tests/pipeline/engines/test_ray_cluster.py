"""What a replica needs, how many a cluster holds, and how many are started."""

import logging

import pytest

from pipeline.engines import ray_cluster
from pipeline.engines.ray_cluster import Needs, Pool, needs_of, places, pool_of
from tests.helpers import restore

CPU_NODE = {"CPU": 8.0}
GPU_NODE = {"CPU": 32.0, "GPU": 4.0}


def job(**resources):
    return restore("in", "out", resources=resources)


@pytest.mark.parametrize(
    ("nodes", "resources", "needs", "held"),
    [
        ([CPU_NODE, CPU_NODE], {}, Needs(1, 0.0, chosen=False), 16),
        ([CPU_NODE, CPU_NODE], {"cores_per_worker": 3}, Needs(3, 0.0, chosen=True), 4),
        ([GPU_NODE, CPU_NODE], {}, Needs(8, 1.0, chosen=False), 4),
        ([GPU_NODE], {"gpus_per_worker": 0.25}, Needs(2, 0.25, chosen=False), 16),
        ([GPU_NODE], {"gpus_per_worker": 0.4, "cores_per_worker": 1}, Needs(1, 0.4, chosen=True), 8),
        ([GPU_NODE], {"gpus_per_worker": 2}, Needs(16, 2.0, chosen=False), 2),
        ([GPU_NODE], {"gpus_per_worker": 0, "cores_per_worker": 4}, Needs(4, 0.0, chosen=True), 8),
        ([GPU_NODE, {"CPU": 4.0, "GPU": 4.0}], {}, Needs(1, 1.0, chosen=False), 8),
    ],
)
def test_replicas_share_the_cores_of_their_nodes(nodes, resources, needs, held):
    assert needs_of(job(**resources), nodes) == needs
    assert places(nodes, needs) == held


@pytest.mark.parametrize(
    ("is_local", "nodes", "asked", "units", "pool"),
    [
        (True, [{"CPU": 4.0}], None, 100, Pool(least=2, most=2, cores=1, gpus=0.0, threads=1)),
        (True, [{"CPU": 4.0}], 1, 100, Pool(least=1, most=1, cores=1, gpus=0.0, threads=2)),
        (True, [{"CPU": 4.0}], 99, 100, Pool(least=2, most=2, cores=1, gpus=0.0, threads=1)),
        (True, [{"CPU": 4.0}], None, 1, Pool(least=1, most=1, cores=1, gpus=0.0, threads=2)),
        (True, [{"CPU": 4.0, "GPU": 1.0}], None, 100, Pool(least=1, most=1, cores=4, gpus=1.0, threads=4)),
        (False, [CPU_NODE, CPU_NODE], None, 100, Pool(least=16, most=100, cores=1, gpus=0.0, threads=1)),
        (False, [CPU_NODE, CPU_NODE], 20, 100, Pool(least=20, most=20, cores=1, gpus=0.0, threads=1)),
        (False, [GPU_NODE], 99, 5, Pool(least=5, most=5, cores=8, gpus=1.0, threads=8)),
        (False, [{"CPU": 0.0}], None, 3, Pool(least=1, most=3, cores=1, gpus=0.0, threads=1)),
    ],
)
def test_a_pool_is_as_large_as_there_is_room_for(monkeypatch, is_local, nodes, asked, units, pool):
    monkeypatch.setattr(ray_cluster, "_nodes", lambda: nodes)
    monkeypatch.setattr(ray_cluster.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(ray_cluster.SESSION, "is_local", is_local)
    assert pool_of(job(), asked, units) == pool


def test_fewer_workers_than_asked_for_are_said(monkeypatch, caplog):
    monkeypatch.setattr(ray_cluster, "_nodes", lambda: [CPU_NODE])
    monkeypatch.setattr(ray_cluster.SESSION, "is_local", False)
    with caplog.at_level(logging.WARNING):
        pool_of(job(), 8, 100)
        assert not caplog.records
        pool_of(job(), 99, 100)
    assert "--workers 99: there is room for 8 at a time; so many are started" in caplog.text
