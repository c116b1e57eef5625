"""SIGKILL at any time, then the same command: the weights are those of a run that was left alone."""

import random
import time

import psutil
import pytest

from tests.pipeline.training.training_data import denoiser, photographs, super_resolver_gan
from tests.pipeline.training.training_process import (
    Process,
    assert_equal_weights,
    newest_step,
    two_workers,
    wait_for_step,
    weights_of,
)


@pytest.mark.slow
@pytest.mark.parametrize("make", [denoiser, super_resolver_gan])
def test_killed_and_started_again_gives_equal_weights(tmp_path, make):
    photographs(tmp_path / "photos", 3)
    recipe = make(tmp_path / "photos", length={"steps": 40}, checkpoints={"every_steps": 10})
    whole, output = tmp_path / "whole", tmp_path / "killed"
    undisturbed = Process(recipe, whole)
    undisturbed.start()
    killed = Process(recipe, output, pause=0.1)
    killed.start()
    wait_for_step(killed, output, 20)
    time.sleep(random.uniform(0, 0.15))
    killed.kill()
    assert newest_step(output) < 40
    killed.start(pause=0)
    killed.finish()
    undisturbed.finish()
    assert "going on from step" in killed.output
    assert_equal_weights(weights_of(whole), weights_of(output))


@pytest.mark.long
def test_workers_on_ray_killed_and_started_again_give_equal_weights(tmp_path, on_ray):
    """First a worker, then the driver; the reference is two processes that Ray knows nothing of."""
    photographs(tmp_path / "photos", 3)
    recipe = super_resolver_gan(
        tmp_path / "photos",
        length={"steps": 80},
        checkpoints={"every_steps": 10},
        resources={"workers": 2},
    )
    output = tmp_path / "killed"
    killed = Process(recipe, output, on_ray)
    try:
        killed.start()
        wait_for_step(killed, output, 10)
        at = newest_step(output)
        workers()[1].kill()  # Ray starts both anew, which go on from the newest checkpoint
        wait_for_step(killed, output, at + 20)
        killed.kill()  # Ray ends the workers of a driver that is gone
        assert newest_step(output) < 80
        killed.start()
        killed.finish()
    finally:
        if killed.runs:
            killed.kill()
    assert killed.output.count("going on from step") == 2
    two_workers(recipe, tmp_path / "whole")
    assert_equal_weights(weights_of(tmp_path / "whole"), weights_of(output))


def workers():
    """The two processes of Ray Train's workers."""
    found = [
        each
        for each in psutil.Process().children(recursive=True)
        if "RayTrainWorker" in " ".join(each.cmdline()[:1])
    ]
    assert len(found) == 2, found
    return found
