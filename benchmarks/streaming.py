"""Trains on a collection many times larger than the memory it may hold: what it takes, how long steps wait.

    python benchmarks/streaming.py --gigabytes 20 --limit 1 --steps 200

Makes a few JPEG photographs of noise and slopes, and names them over and over by links until their pixels
are so many gigabytes. Prints the memory of pixels that is allowed, the most that the process held beyond what
it held before, the time of the first reading, steps a second and the share of time that steps waited.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import torch
from scipy.ndimage import gaussian_filter

from pipeline.training.data.collected import collected
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.trainer import Trainer

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
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="restora-streaming-") as place:
        count = fill(Path(place), given.gigabytes)
        recipe = TrainingRecipe.parse(
            {
                "name": "streaming",
                "summary": "Streaming.",
                "degradations": ["awgn-25"],
                "losses": [{"name": "l1"}],
                "batch": 8,
                "length": {"steps": given.steps},
                "data": {
                    "datasets": [{"name": "images", "uri": place}],
                    "crop": 64,
                    "memory_gigabytes": given.limit,
                },
                "network": {"architecture": "dncnn", "arguments": {"features": 32, "layers": 6}},
                "optimizer": {"learning_rate": 1e-4},
            }
        )
        before = psutil.Process().memory_info().rss / 1e9
        begun = time.perf_counter()
        built = BuiltRecipe.of(recipe)
        trainer = Trainer(built, collected(recipe, built))
        reading = time.perf_counter() - begun
        print(f"{count} images of {SIDE} x {SIDE}, read once in {reading:.0f} s", flush=True)
        trainer.step()  # waits for the first shards
        begun, waited = time.perf_counter(), 0.0
        for _ in range(given.steps - 1):
            waited += trainer.step()[1]
        seconds = time.perf_counter() - begun
        trainer.close()
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(f"allowed {given.limit:.2f} GB of pixels, held {most - before:.2f} GB beside {before:.2f}")
        print(f"{(given.steps - 1) / seconds:.1f} steps/s, waited {100 * waited / seconds:.1f} % of the time")


if __name__ == "__main__":
    main()
