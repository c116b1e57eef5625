"""Ctrl-C and SIGTERM reach whoever asked for them, whatever a library does to their handlers as it starts."""

import ctypes
import os
import signal
import subprocess
import sys
import threading

import pytest

from pipeline.engines.signals_kept import signals_kept

RAY = """
import os, signal, time
from pipeline.engines.ray_session import RaySession

received = []
signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
session = RaySession()
session.start(None)
session.wait()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.5)
session.stop()
print(received)
"""


def test_handlers_of_before_are_there_again_when_another_thread_is_done():
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))

    def library():
        with signals_kept():
            libc = ctypes.CDLL(None)
            libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
            libc.signal(signal.SIGTERM, 1)  # SIG_IGN, behind Python's back

    try:
        thread = threading.Thread(target=library)
        thread.start()
        thread.join()
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.long
def test_a_polite_kill_beside_ray_is_heard_and_says_nothing_of_its_own():
    ended = subprocess.run([sys.executable, "-c", RAY], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.split("\n")[-2], ended.stderr) == (0, "[15]", "")
