"""SIGKILL at any time, then the same command: the weights are those of a run that was left alone."""

import random
import time

import psutil
import pytest

from tests.killing import end
from tests.pipeline.training.training_data import denoiser, photographs, super_resolver_gan
from tests.pipeline.training.training_process import (
    Process,
    assert_equal_weights,
    newest_step,
    wait_for_step,
    weights_of,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("make", [denoiser, super_resolver_gan])
def test_killed_and_started_again_gives_equal_weights(tmp_path, make):
    photographs(tmp_path / "photos", 3)
    fields = {"length": {"steps": 60}, "checkpoints": {"every_steps": 10}}
    recipe = make(tmp_path / "photos", **fields)
    whole = Process(recipe, tmp_path / "whole", tmp_path / "whole" / "out")
    whole.start()
    killed = Process(recipe, tmp_path / "killed", tmp_path / "killed" / "out", pause=0.1)
    killed.start()
    wait_for_step(killed, tmp_path / "killed" / "out", 20)
    time.sleep(random.uniform(0, 0.15))
    killed.kill()
    assert newest_step(tmp_path / "killed" / "out") < 60
    killed.start(pause=0)
    killed.finish()
    whole.finish()
    assert "going on from step" in killed.output
    assert_equal_weights(weights_of(tmp_path / "whole" / "out"), weights_of(tmp_path / "killed" / "out"))


def test_workers_on_ray_killed_and_started_again_give_equal_weights(tmp_path):
    pytest.importorskip("ray.train", reason="the extra train is not installed")
    photographs(tmp_path / "photos", 3)
    fields = {
        "length": {"steps": 120},
        "checkpoints": {"every_steps": 10},
        "resources": {"workers": 2},
    }
    recipe = super_resolver_gan(tmp_path / "photos", **fields)
    whole = Process(recipe, tmp_path / "whole", tmp_path / "whole" / "out", "ray")
    whole.start()
    whole.finish()
    output = tmp_path / "killed" / "out"
    killed = Process(recipe, tmp_path / "killed", output, "ray")
    seen = {}
    try:
        killed.start()
        wait_for_step(killed, output, 10)
        children = psutil.Process(killed.process.pid).children(recursive=True)
        seen |= {each.pid: each for each in children}
        workers = [each for each in children if "RayTrainWorker" in " ".join(each.cmdline()[:1])]
        assert len(workers) == 2, [each.cmdline()[:1] for each in children]
        at = newest_step(output)
        workers[1].kill()  # Ray starts both anew, which go on from the newest checkpoint
        wait_for_step(killed, output, min(at + 20, 100))
        seen |= {each.pid: each for each in psutil.Process(killed.process.pid).children(recursive=True)}
        killed.kill()
        end(seen.values())
        killed.start()
        killed.finish()
    finally:
        if killed.process.poll() is None:
            killed.kill()
        end(seen.values())
    assert killed.output.count("going on from step") >= 2
    assert_equal_weights(weights_of(tmp_path / "whole" / "out"), weights_of(output))
