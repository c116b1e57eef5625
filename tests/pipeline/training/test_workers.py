"""Several workers: the batch of one, shared out; another number of them goes on from the same checkpoint."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from pipeline.errors import RunStopped
from pipeline.training.run import TrainingOptions, train
from tests.pipeline.training.training_data import ROOT, denoiser, generator, photographs, super_resolver_gan
from tests.pipeline.training.training_process import Process, weights_of

pytestmark = pytest.mark.slow

WORKER = """
import sys, torch.distributed as dist
from pathlib import Path
from pipeline.errors import RunStopped
from pipeline.storage import Folder
from pipeline.training.loop import Loop
from pipeline.training.recipe import TrainingRecipe
from pipeline.training.world import World

recipe = TrainingRecipe.model_validate_json(Path(sys.argv[1]).read_text())
rank, stop_at = int(sys.argv[3]), int(sys.argv[5])
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{sys.argv[4]}", rank=rank, world_size=2)
steps = [0]

def told(news):
    steps[0] = news.step

try:
    Loop(recipe, Folder(sys.argv[2]), World(rank, 2), told, lambda: steps[0] >= stop_at)()
except RunStopped as stopped:
    print(stopped)
dist.destroy_process_group()
"""


def two_workers(recipe, place, output, stop_at):
    """Runs the loop on two processes with gloo until the first one asks to stop, or to the end."""
    file = place / "recipe.json"
    file.write_text(recipe.model_dump_json())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(file), str(output)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(port), str(stop_at)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    return outputs


def assert_close_weights(first, second, start):
    """Sums in another order differ in the last bits; the steps themselves were many times larger."""
    assert first.keys() == second.keys()
    apart = sum(float((first[name] - second[name]).square().sum()) for name in first) ** 0.5
    moved = sum(float((first[name] - start[name]).square().sum()) for name in first) ** 0.5
    assert moved > 0
    assert apart < 1e-2 * moved, (apart, moved)


@pytest.mark.parametrize("make", [denoiser, generator])
def test_from_two_workers_to_one_and_back_is_one_run(tmp_path, make):
    images = tmp_path / "photos"
    photographs(images, 3)
    # Plain averages, no noise of Adam around zero gradients: what is compared is the batch.
    fields = {"length": {"steps": 40}, "average": 0.5, "resources": {"workers": [1, 2]}}
    recipe = make(images, **fields)
    name = f"{recipe.name}.safetensors"
    options = TrainingOptions(engine="local", device="cpu")
    whole, output = tmp_path / "whole", tmp_path / "out"
    train(recipe, str(whole), options)

    assert "stopped at step 20" in two_workers(recipe, tmp_path, output, 10)[0]
    steps = []
    with pytest.raises(RunStopped, match="stopped at step"):
        train(
            recipe,
            str(output),
            options,
            told=lambda news: steps.append(news.step),
            stopping=lambda: bool(steps) and steps[-1] >= 20,
        )
    two_workers(recipe, tmp_path, output, 10**9)
    begun = tmp_path / "begun"
    train(make(images, **(fields | {"length": {"steps": 1}})), str(begun), options)
    assert_close_weights(weights_of(whole, name), weights_of(output, name), weights_of(begun, name))


def test_two_workers_on_ray_train_an_unpaired_recipe(tmp_path):
    pytest.importorskip("ray.train", reason="the extra train is not installed")
    photographs(tmp_path / "photos", 3)
    fields = {"length": {"steps": 20}}
    alone = generator(tmp_path / "photos", **fields)
    options = TrainingOptions(engine="local", device="cpu")
    train(alone, str(tmp_path / "alone"), options)
    run = Process(
        generator(tmp_path / "photos", **fields, resources={"workers": 2}),
        tmp_path / "ray",
        tmp_path / "ray" / "out",
        "ray",
    )
    run.start()
    run.finish()
    begun = tmp_path / "begun"
    train(generator(tmp_path / "photos", length={"steps": 1}), str(begun), options)
    name = "tiny-gan.safetensors"
    assert_close_weights(
        *(weights_of(each, name) for each in (tmp_path / "alone", tmp_path / "ray" / "out", begun))
    )


def test_more_workers_than_resources_says_what_is_missing(tmp_path):
    pytest.importorskip("ray.train", reason="the extra train is not installed")
    photographs(tmp_path / "photos", 1)
    recipe = super_resolver_gan(
        tmp_path / "photos", batch=64, resources={"workers": 64, "cpus_per_worker": 2.0}
    )
    run = Process(recipe, tmp_path / "ray", tmp_path / "ray" / "out", "ray")
    run.start()
    assert run.process.wait(120) != 0
    assert "64 workers of 2 CPU each, but the cluster has" in run.output
    assert not torch.distributed.is_initialized()
