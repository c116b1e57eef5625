"""A worker's process asks the kernel once for the memory of its pixels, and not again for every image."""

import os
import subprocess
import sys

import pytest

from pipeline.worker.freed_memory import KEPT

FAULTS = """
import resource, sys
from pipeline.worker.freed_memory import keep_freed_memory

if sys.argv[1] == "kept":
    print(keep_freed_memory())

def layers():
    return [bytearray(b"0") * (12 << 20) for _ in range(6)]  # all are let go together

for _ in range(2):
    layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _told(how: str, **environment: str) -> list[str]:
    command = [sys.executable, "-c", FAULTS, how]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    return ended.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again() -> None:
    kept, faults = _told("kept")
    (by_itself,) = _told("by itself")
    assert kept == "True"
    assert int(faults) < int(by_itself) / 20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_what_the_environment_says_stays() -> None:
    assert _told("kept", MALLOC_TRIM_THRESHOLD_=str(2 * KEPT))[0] == "False"
