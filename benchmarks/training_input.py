"""Whether samples come as fast as steps take them: ``python benchmarks/training_input.py``.

Batches of 16 crops of 128 x 128, made as a training makes them: drawn, cut, turned, degraded. First, samples
a second of one core (processor time), of the batched degradations and of the same images one by one. Then
steps that take so many milliseconds, fed by so many cores: a step of the device is a sleep, so that none is
needed, and as the machine at hand has fewer cores, their time is simulated. Every batch costs the processor
time that it was measured to cost; the share of it in which the interpreter's lock is held goes through one
queue, for threads share the lock. That share is measured where ``gilknocker`` is installed, else given by
``--lock``. With ``--real`` the steps sleep and threads work by the clock, on the cores that there are.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from collection import write_photographs

from pipeline.training.data.collection import read_collection
from pipeline.training.data.crops import cut_crops
from pipeline.training.data.prefetch import Prefetch
from pipeline.training.data.samples import Samples
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe

BATCH, CROP = 16, 128
KINDS = ("awgn-25", "real-esrgan-x4", "motion", "clean")
STEPS_MS = (5, 20, 100)
ADAM = {"learning_rate": 2e-4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batches", type=int, default=24, help="Measured of each kind.")
    parser.add_argument("--cores", type=int, default=16, help="Simulated, each with a thread of samples.")
    parser.add_argument("--lock", type=float, help="Share of the time that holds the interpreter's lock.")
    parser.add_argument(
        "--real", action="store_true", help="By the clock, with a thread for each of --cores."
    )
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="restora-training-input-") as folder:
        folder = f"{folder}/in"
        write_photographs(Path(folder), 16, 256)
        print("| samples | per core, batched | one by one | lock held | " + header())
        print("| " + "--- | " * (4 + len(STEPS_MS)))
        for kind in chosen.kinds:
            line(kind, folder, chosen)


def header() -> str:
    return " | ".join(f"waits, {step} ms" for step in STEPS_MS) + " |"


def line(kind: str, folder: str, chosen: argparse.Namespace) -> None:
    samples, alone = makers(kind, folder)
    make = samples.maker()
    for warm in range(2):
        make(warm)
        alone(warm)
    costs, lock = measured(make, chosen.batches)
    lock = lock if chosen.lock is None else chosen.lock
    singly, _ = measured(alone, max(3, chosen.batches // 4))
    waits = [
        real(make, step / 1e3, chosen.cores)
        if chosen.real
        else simulated(costs, lock, step / 1e3, chosen.cores)
        for step in STEPS_MS
    ]
    rates = [BATCH / statistics.mean(each) for each in (costs, singly)]
    shares = " | ".join(f"{100 * each:.1f} %" for each in waits)
    print(f"| {kind} | {rates[0]:.0f} | {rates[1]:.0f} | {100 * lock:.0f} % | {shares} |", flush=True)


def makers(kind: str, folder: str) -> tuple[Samples, Callable[[int], Any]]:
    """What makes the batches of a training, and what makes the same images one by one."""
    recipe = recipe_of(kind, folder)
    built, data = BuiltRecipe.of(recipe), recipe.data
    collection = read_collection(data.datasets, channels=3, smallest=CROP, most_bytes=1e9, most_pixels=10**8)
    samples = Samples(recipe, collection, built.degradations, torch.device("cpu"))
    sampler = collection.sampler(data, recipe.seed, BATCH)

    def alone(step: int) -> list[torch.Tensor]:
        pictures, made = collection.at(step), []
        for index in range(BATCH):
            draw = sampler(step, index)
            target_1CHW, _ = cut_crops([draw], pictures, data, torch.device("cpu"))
            made += [each(target_1CHW, draw.seed).image_BCHW for each in built.degradations] or [target_1CHW]
        return [torch.cat(made)]

    return samples, alone


def recipe_of(kind: str, folder: str) -> TrainingRecipe:
    fields: dict[str, Any] = {
        "name": "input",
        "summary": "Input.",
        "batch": BATCH,
        "length": {"steps": 10**6},
        "data": {"datasets": [{"name": "photographs", "uri": folder}], "crop": CROP},
        "optimizer": ADAM,
    }
    if kind == "clean":
        adversary = {"architecture": "dcgan", "adversarial": {"name": "vanilla"}, "optimizer": ADAM}
        size = {"arguments": {"image_size": CROP}}
        parts = {"network": {"architecture": "dcgan"} | size, "discriminator": adversary | size}
        return TrainingRecipe.parse(fields | {"kind": "generation"} | parts)
    network = {"architecture": "msrresnet"} if "x4" in kind else {"architecture": "dncnn"}
    return TrainingRecipe.parse(
        fields | {"degradations": [kind], "losses": [{"name": "l1"}], "network": network}
    )


def measured(make: Callable[[int], Any], batches: int) -> tuple[list[float], float]:
    """Seconds of processor time of each batch, and the share in which the interpreter's lock was held."""
    try:
        from gilknocker import KnockKnock
    except ImportError:
        knocker = None
    else:
        knocker = KnockKnock(polling_interval_micros=500)
        knocker.start()
    costs = []
    for step in range(2, 2 + batches):
        begun = time.thread_time()
        make(step)
        costs.append(time.thread_time() - begun)
    held = 0.0
    if knocker is not None:
        held = float(knocker.contention_metric)
        knocker.stop()
    return costs, held


def simulated(costs: Sequence[float], lock: float, step: float, cores: int, steps: int = 2000) -> float:
    """The share of time that steps wait, once the first batches are there."""
    free = [0.0] * cores
    taken = [0.0] * (cores + 1)  # a batch is begun as the one so many before it is taken
    lock_free = now = waited = started = 0.0
    for number in range(steps):
        worker = min(range(cores), key=free.__getitem__)
        start, cost = max(free[worker], taken[number]), costs[number % len(costs)]
        lock_free = max(lock_free, start) + lock * cost
        free[worker] = max(start + cost, lock_free)
        if number == 2 * cores:
            started, waited = now, 0.0
        ready = max(now, free[worker])
        waited += ready - now
        taken.append(ready)
        now = ready + step
    return waited / (now - started)


def real(make: Callable[[int], Any], step: float, cores: int, steps: int = 100) -> float:
    """The same by the clock."""
    prefetch = Prefetch(make, 0, threads=cores)
    for _ in range(2 * cores):
        prefetch.take()
    prefetch.waited, begun = 0.0, time.perf_counter()
    for _ in range(steps):
        prefetch.take()
        time.sleep(step)
    share = prefetch.waited / (time.perf_counter() - begun)
    prefetch.close()
    return share


if __name__ == "__main__":
    main()
