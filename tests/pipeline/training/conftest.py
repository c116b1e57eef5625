"""One Ray cluster for all tests of training that need one."""

import os

import psutil
import pytest

from pipeline.training.options import TrainingOptions
from tests.killing import end


@pytest.fixture(scope="session")
def on_ray():
    """Options of a training that joins a cluster of four slots on this machine."""
    pytest.importorskip("ray.train", reason="the extra train is not installed")
    from ray.cluster_utils import Cluster

    ours = psutil.Process()
    before = set(ours.children(recursive=True))
    with pytest.MonkeyPatch.context() as patch:  # the nodes are this process's children
        patch.setenv("RAY_TMPDIR", f"/tmp/rt{os.getpid()}")
        patch.setenv("RAY_prestart_worker_first_driver", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
        try:
            yield TrainingOptions(engine="ray", ray_address=cluster.address)
        finally:
            started = set(ours.children(recursive=True)) - before
            cluster.shutdown()
            end(started)
