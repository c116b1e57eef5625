"""What tests of training share: one Ray cluster for all that need one, and trainings that draw no page."""

import os

import psutil
import pytest

from pipeline.training.options import TrainingOptions
from tests.killing import end


@pytest.fixture
def without_page(monkeypatch):
    """Trainings of this process write no ``report.html``, which takes half of the time of such small ones."""
    monkeypatch.setattr("pipeline.training.report.write_report", lambda *_: "")


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
