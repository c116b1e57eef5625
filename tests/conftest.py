import gc
import os
import sys
import tempfile

# What this machine's runs found to fit into its memory, and fetched, is not what the tests are to find.
os.environ["RESTORA_CACHE"] = tempfile.mkdtemp(prefix="restora-tests-cache-")
# Two cores, and every Ray or isolation subprocess would take both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's workers are nice to all others: a row of tests beside theirs would keep them waiting for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")

import pytest

from tests.moto_s3 import running_s3

pytest.register_assert_rewrite("tests.helpers", "tests.killing")
gc.disable()  # until all is collected, which stays: to look for what may go took a tenth of that time


def pytest_collection_finish():
    # What deals the tests out to others collects none: the two seconds that torch takes are not for it.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


def pytest_unconfigure():
    gc.unfreeze()  # libraries complain of what is left when Python ends


@pytest.fixture(scope="session")
def s3():
    """Environment of an S3 endpoint on loopback, set for this process too."""
    with running_s3() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment
