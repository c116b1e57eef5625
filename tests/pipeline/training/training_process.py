"""Trainings in processes of their own, to be watched and killed.

They are forked from one process that has imported torch and ours: to start one takes no time.
"""

import json
import multiprocessing
import time

import torch

from models.weights import load_weights
from pipeline.training.options import TrainingOptions
from tests.pipeline.training.train import train_as_one_of_two, train_whole

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.pipeline.training.train"])
HERE = TrainingOptions(engine="local", device="cpu")


class Process:
    """One training in a process of its own, started once or again and again."""

    def __init__(self, recipe, output, options=HERE, pause=0.0):
        output.parent.mkdir(parents=True, exist_ok=True)
        self._log = output.parent / f"{output.name}.log"
        self._given = (recipe.model_dump_json(), str(output), str(self._log), options)
        self._pause = pause
        self._process = None

    def start(self, pause=None):
        pause = self._pause if pause is None else pause
        self._process = FORKS.Process(target=train_whole, args=(*self._given, pause), daemon=True)
        self._process.start()

    @property
    def output(self):
        """What all its processes so far printed."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def runs(self):
        return self._process is not None and self._process.is_alive()

    def wait(self, seconds=300):
        """Its exit code, once it ended by itself."""
        self._process.join(seconds)
        return self._process.exitcode

    def finish(self):
        assert self.wait() == 0, self.output[-3000:]

    def kill(self):
        """SIGKILL: no handler, no farewell."""
        self._process.kill()
        self._process.join()


def two_workers(recipe, output, stop_at=10**9):
    """Runs the loop on two processes with gloo until the first asks to stop; gives what that one printed."""
    output.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic_ns()
    meeting = output.parent / f"{output.name}-{begun}"
    logs = [output.parent / f"{output.name}-{begun}-{rank}.log" for rank in (0, 1)]
    processes = [
        FORKS.Process(
            target=train_as_one_of_two,
            args=(recipe.model_dump_json(), str(output), str(logs[rank]), rank, str(meeting), stop_at),
            daemon=True,
        )
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0], [log.read_text()[-3000:] for log in logs]
    return logs[0].read_text()


def newest_step(output):
    pointer = output / "checkpoints" / "newest.json"
    return json.loads(pointer.read_text())["checkpoints"][-1]["step"] if pointer.exists() else 0


def wait_for_step(process, output, step, seconds=300):
    deadline = time.monotonic() + seconds
    while newest_step(output) < step:
        assert process.runs, f"ended before it could be killed:\n{process.output[-3000:]}"
        assert time.monotonic() < deadline, process.output[-3000:]
        time.sleep(0.01)


def weights_of(output, name="tiny.safetensors"):
    return load_weights(output / name)[1]


def assert_equal_weights(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
