"""A cluster that is not there: told at once, and no thread is left behind."""

import socket
import threading

import pytest
import ray

from pipeline.engines.ray_session import RaySession
from pipeline.errors import JobError


def test_an_address_where_nobody_listens_is_refused_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        session = RaySession()
        session.start(address)
        with pytest.raises(JobError, match=rf"--ray-address {address}: cannot connect: .*ray start --head"):
            session.wait()
    assert not [each for each in threading.enumerate() if each.name == "ray"]
    session.stop()


@pytest.mark.parametrize(
    ("faults", "starts", "message"),
    [
        (["The current node timed out during startup."], 2, None),
        (["The current node timed out during startup."] * 2, 2, "other work has the machine: run it again"),
        (["no room for objects"], 1, "cannot start Ray on this machine: .*no room for objects$"),
    ],
)
def test_a_machine_that_is_too_busy_for_ray_is_given_a_second_chance(monkeypatch, faults, starts, message):
    started = []

    def init(*_, **__):
        started.append(True)
        if len(started) <= len(faults):
            raise RuntimeError(faults[len(started) - 1])

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr("pipeline.engines.ray_session.RayWatch", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    session = RaySession()
    session.start(None)
    if message is None:
        session.wait()
    else:
        with pytest.raises(JobError, match=message):
            session.wait()
    session.stop()
    assert len(started) == starts
