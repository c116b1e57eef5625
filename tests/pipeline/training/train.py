"""What the processes of ``training_process`` do: a whole training, or one worker of two."""

import os
import time

import matplotlib.figure  # noqa: F401 - what a training imports later is here before the fork, too
import torch
import torch._dynamo
import torch.distributed as dist

from pipeline.errors import RunStopped
from pipeline.storage.folder import Folder
from pipeline.training.engines.local import train_here  # noqa: F401
from pipeline.training.loop import Loop
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import train
from pipeline.training.world import World


def train_whole(recipe: str, output: str, log: str, options: TrainingOptions, pause: float) -> None:
    """A training on an engine; waits ``pause`` seconds at every event, to be caught at work."""
    _write_to(log)

    def on_progress(event):
        print(event.step, event.message, flush=True)
        time.sleep(pause)

    finished = train(TrainingRecipe.model_validate_json(recipe), output, options, on_progress=on_progress)
    print("finished", finished.steps, flush=True)


def train_as_one_of_two(recipe: str, output: str, log: str, rank: int, meeting: str, stop_at: int) -> None:
    """One of two workers with gloo and without Ray, until ``stop_at`` steps or the end."""
    _write_to(log)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    steps = [0]

    def on_progress(event):
        steps[0] = event.step

    parsed = TrainingRecipe.model_validate_json(recipe)
    try:
        Loop(parsed, Folder(output), World(rank, 2), on_progress, lambda: steps[0] >= stop_at)()
    except RunStopped as stopped:
        print(stopped, flush=True)
    dist.destroy_process_group()


def _write_to(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    torch.set_num_threads(1)
