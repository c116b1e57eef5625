"""Two runs at once in one output: refused or right, always."""

import subprocess
import sys

import pytest

from tests.killing import ROOT
from tests.two_drivers import OTHERS


@pytest.mark.slow
def test_each_is_refused_or_right_and_what_is_left_is_whole(tmp_path):
    """In a process without threads, whose forks are at work within a moment."""
    command = [sys.executable, "-m", "tests.two_drivers", str(tmp_path), "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == len(OTHERS)
