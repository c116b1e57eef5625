"""Trains on a collection many times larger than the memory it may hold: what it takes, how long steps wait.

    python benchmarks/streaming.py --gigabytes 20 --limit 1 --steps 200

Makes a few JPEG photographs of noise and slopes, and names them over and over by links until their pixels
are so many gigabytes. Prints the memory of pixels that is allowed, the most that the process held beyond what
it held before, the time of the first reading, steps a second and the share of time that steps waited.
With ``--ranks 2`` two processes train together by gloo, and each prints its own line, with what it holds of
pixels in the end: the limit is of one process alone, and of two each holds its half of every shard.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import torch
import torch.distributed as dist
from scipy.ndimage import gaussian_filter

from pipeline.training.data.collected import collected
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.trainer import Trainer
from pipeline.training.world import World

SIDE = 1824
DIFFERENT = 16


def fill(folder: Path, gigabytes: float) -> int:
    rng = np.random.default_rng(0)
    count = round(gigabytes * 1e9 / (SIDE * SIDE * 3))
    for number in range(DIFFERENT):
        small = gaussian_filter(rng.standard_normal((SIDE // 4, SIDE // 4, 3)), (2, 2, 0)) * 400 + 128
        picture = PIL.Image.fromarray(small.clip(0, 255).astype(np.uint8)).resize((SIDE, SIDE))
        picture.save(folder / f"{number:06}.jpg", quality=85)
    for number in range(DIFFERENT, count):
        os.link(folder / f"{number % DIFFERENT:06}.jpg", folder / f"{number:06}.jpg")
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--limit", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--ranks", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="restora-streaming-") as place:
        images = Path(place) / "images"
        images.mkdir()
        print(f"{fill(images, given.gigabytes)} images of {SIDE} x {SIDE}", flush=True)
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=work, args=(rank, given, str(images), f"file://{place}/meeting"))
            for rank in range(given.ranks)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def work(rank: int, given: argparse.Namespace, images: str, meeting: str) -> None:
    torch.set_num_threads(1)
    if given.ranks > 1:
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=given.ranks)
    before = psutil.Process().memory_info().rss / 1e9
    begun = time.perf_counter()
    recipe = recipe_of(images, given)
    built = BuiltRecipe.of(recipe)
    collection = collected(recipe, built)
    trainer = Trainer(built, collection, World(rank, given.ranks))
    reading = time.perf_counter() - begun
    trainer.step()  # waits for the first shards
    begun, waited, most = time.perf_counter(), 0.0, 0.0
    for _ in range(given.steps - 1):
        waited += trainer.step()[1]
        most = max(most, psutil.Process().memory_info().rss / 1e9)
    seconds = time.perf_counter() - begun
    pixels = sum(each.nbytes for each in collection.at(given.steps - 1).values()) / 1e9
    trainer.close()
    collection.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        f"rank {rank}: read once in {reading:.0f} s; allowed {given.limit:.2f} GB of pixels; held "
        f"{peak - before:.2f} GB beside {before:.2f}, after steps {most - before:.2f}; "
        f"the shards of the last step {pixels:.3f}; "
        f"{(given.steps - 1) / seconds:.1f} steps/s, waited {100 * waited / seconds:.1f} %",
        flush=True,
    )


def recipe_of(images: str, given: argparse.Namespace) -> TrainingRecipe:
    data = {"datasets": [{"name": "images", "uri": images}], "crop": 64, "memory_gigabytes": given.limit}
    return TrainingRecipe.parse(
        {
            "name": "streaming",
            "summary": "Streaming.",
            "degradations": ["awgn-25"],
            "losses": [{"name": "l1"}],
            "batch": 8,
            "length": {"steps": given.steps},
            "data": data,
            "network": {"architecture": "dncnn", "arguments": {"features": 32, "layers": 6}},
            "optimizer": {"learning_rate": 1e-4},
        }
    )


if __name__ == "__main__":
    main()
