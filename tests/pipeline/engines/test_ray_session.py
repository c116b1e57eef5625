"""A cluster that is not there: told at once, and no thread is left behind."""

import socket
import threading

import pytest

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
