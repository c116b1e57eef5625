import os

# Two cores, and every Ray or isolation subprocess would take both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from tests.moto_s3 import running_s3

pytest.register_assert_rewrite("tests.helpers", "tests.killing")
torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """For ``pytest -n 2 --dist loadgroup``: what starts clusters and servers goes one after the other, first.

    Two Ray clusters at once are too many for two cores. Other tests share a process file by file, so that
    what a file sets up once is set up once.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        group = "slow" if item.get_closest_marker("slow") else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def s3():
    """Environment of an S3 endpoint on loopback, set for this process too."""
    with running_s3() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment
