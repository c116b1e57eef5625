"""A training in a process of its own, to be watched and killed."""

import json
import os
import signal
import subprocess
import sys
import time

import torch

from models.weights import load_weights
from tests.pipeline.training.training_data import ROOT


class Process:
    """One training in a process of its own."""

    def __init__(self, recipe, place, output, engine="local", pause=0.0):
        place.mkdir(parents=True, exist_ok=True)
        file = place / "recipe.json"
        file.write_text(recipe.model_dump_json())
        self._command = [
            sys.executable,
            "-m",
            "tests.pipeline.training.train",
            str(file),
            str(output),
            engine,
        ]
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": f"/tmp/rt{os.getpid()}",
        }
        self._log, self._pause = place / "log", pause
        self.process = None

    def start(self, pause=None):
        pause = self._pause if pause is None else pause
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, str(pause)],
                cwd=ROOT,
                env=os.environ | self._environment,
                stdout=log,
                stderr=log,
            )

    @property
    def output(self):
        return self._log.read_text() if self._log.exists() else ""

    def finish(self, seconds=240):
        assert self.process.wait(seconds) == 0, self.output[-3000:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def newest_step(output):
    pointer = output / "checkpoints" / "newest.json"
    return json.loads(pointer.read_text())["checkpoints"][-1]["step"] if pointer.exists() else 0


def wait_for_step(process, output, step, seconds=120):
    deadline = time.monotonic() + seconds
    while newest_step(output) < step:
        assert process.process.poll() is None, f"ended before it could be killed:\n{process.output[-3000:]}"
        assert time.monotonic() < deadline, process.output[-3000:]
        time.sleep(0.01)


def weights_of(output, name="tiny.safetensors"):
    return load_weights(output / name)[1]


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
