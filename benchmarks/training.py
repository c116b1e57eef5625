"""Seconds per training step beside a bare torch loop, and of two workers beside one.

``python benchmarks/training.py``. First, ours beside a loop written by hand, in one process with one thread
of mathematics, blocks of steps in turn: the same networks, losses and optimizers. Ours cuts, turns and
degrades its samples as it goes, averages the weights, guards against NaN, follows a schedule and reads its
losses; the loop's batches are ready in memory and it does nothing else. ``waits`` is the share of our time
that steps waited for their samples.

Then, processes with one core each and the same number of samples per worker: one alone; two that know nothing
of each other, which is what two cores that share memory and clock allow; two that only wait for each other
after every step, which is what any two that share gradients must; two that share gradients by gloo.

Between them, where ``tensorboardX`` is installed, a step with TensorBoard's tracker beside one without.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.distributed as dist
import torch.nn.functional as F

from models.discriminators import build_discriminator
from pipeline.storage.folder import Folder
from pipeline.training.data.collection import read_collection
from pipeline.training.recipe.built_recipe import BuiltRecipe, started
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.step_meter import StepMeter
from pipeline.training.trackers import open_trackers
from pipeline.training.trackers.base import Tracker
from pipeline.training.trainer import Trainer
from pipeline.training.world import World

WARM_UP = 3
READ_EVERY = 10
ADAM = {"learning_rate": 2e-4, "betas": [0.5, 0.999]}


def main() -> None:
    """Prints one line a network and one a number of workers."""
    chosen = arguments()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"
    print(f"{machine}, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory(prefix="restora-training-") as folder:
        from collection import write_photographs

        write_photographs(Path(folder) / "in", 16, 256)
        for name, make in RECIPES.items():
            beside_bare(name, make(folder, 1), chosen)
        if importlib.util.find_spec("tensorboardX") is not None:
            tracked(folder, chosen)
        if chosen.device == "cpu" and not chosen.one_process:
            beside_one_worker(folder, chosen)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="Blocks of each.")
    parser.add_argument("--steps", type=int, default=20, help="Steps of a block.")
    parser.add_argument("--device", default="cpu", help="Of the first part; the second is of a CPU.")
    parser.add_argument("--one-process", action="store_true", help="The first part alone.")
    return parser.parse_args()


def super_resolver(folder: str, workers: int) -> TrainingRecipe:
    """The modified SRResNet of 64 features and 16 blocks, x4, L1."""
    return recipe(
        folder,
        degradations=["bicubic-x4"],
        losses=[{"name": "l1"}],
        batch=8 * workers,
        data={"crop": 96},
        network={"architecture": "msrresnet"},
        optimizer=ADAM,
    )


def dcgan(folder: str, workers: int) -> TrainingRecipe:
    """DCGAN in the shape of PyTorch's example, 64 x 64."""
    return recipe(
        folder,
        kind="generation",
        batch=32 * workers,
        data={"crop": 128, "downsample": 2},
        network={"architecture": "dcgan", "value_range": [-1.0, 1.0]},
        optimizer=ADAM,
        discriminator={"architecture": "dcgan", "adversarial": {"name": "vanilla"}, "optimizer": ADAM},
    )


RECIPES: dict[str, Callable[[str, int], TrainingRecipe]] = {"msrresnet": super_resolver, "dcgan": dcgan}


def recipe(folder: str, **fields: Any) -> TrainingRecipe:
    data = {"datasets": [{"name": "photographs", "uri": f"{folder}/in"}]} | fields.pop("data")
    return TrainingRecipe.parse(
        {"name": "benchmark", "summary": "Benchmark.", "length": {"steps": 10**6}, "data": data} | fields
    )


def training_of(parsed: TrainingRecipe, world: World | None = None) -> Trainer:
    built, data = BuiltRecipe.of(parsed), parsed.data
    collection = read_collection(
        data.datasets, channels=3, smallest=data.crop, most_bytes=1e9, most_pixels=10**8
    )
    return Trainer(built, collection, world)


def beside_bare(name: str, parsed: TrainingRecipe, chosen: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    training = training_of(parsed, World(device=torch.device(chosen.device)))
    ours = OurSteps(training)
    bare = BareRestoration(training) if parsed.kind == "restoration" else BareGeneration(training)
    for contestant in (ours, bare):
        contestant(WARM_UP)
    ours.waits.clear()
    rounds = [(timed(ours, chosen.steps), timed(bare, chosen.steps)) for _ in range(chosen.rounds)]
    training.close()
    mine, theirs = (statistics.median(clock for clock, _ in each) for each in zip(*rounds, strict=True))
    ratio, cpu = (statistics.median(first[i] / second[i] for first, second in rounds) for i in (0, 1))
    waits = statistics.mean(ours.waits)
    print(
        f"{name:9} ours {mine:.3f} s, bare {theirs:.3f} s a step: {ratio:.3f} by the clock, {cpu:.3f} by the "
        f"thread's processor time; waits {100 * waits:.2f} %",
        flush=True,
    )


def tracked(folder: str, chosen: argparse.Namespace) -> None:
    """One trainer's blocks of steps in turn, with what the tracker does at every row and without."""
    parsed = dcgan(folder, 1)
    training = training_of(parsed, World(device=torch.device(chosen.device)))
    (tracker,) = open_trackers(["tensorboard"], Folder(folder), parsed.name, parsed.model_dump(mode="json"))
    ways = OurSteps(training, tracker), OurSteps(training)
    for way in ways:
        way(WARM_UP)
    rounds = [[timed(way, chosen.steps)[0] for way in ways] for _ in range(3 * chosen.rounds)]
    training.close()
    tracker.close()
    ratio = statistics.median(first / second for first, second in rounds)
    print(f"dcgan with TensorBoard: {ratio:.3f} of without, a row every {READ_EVERY} steps", flush=True)


def timed(contestant: Callable[[int], None], steps: int) -> tuple[float, float]:
    """Seconds per step by the clock, and of the processor, which other work on the machine moves less."""
    clock, cpu = time.perf_counter(), time.thread_time()
    contestant(steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - clock) / steps, (time.thread_time() - cpu) / steps


class OurSteps:
    """``ours(steps)``, with what the run's loop does around each."""

    def __init__(self, training: Trainer, tracker: Tracker | None = None) -> None:
        self._training, self._tracker, self.waits = training, tracker, list[float]()

    def __call__(self, steps: int) -> None:
        meter = StepMeter(self._training.world)
        for number in range(1, steps + 1):
            meter.add(*self._training.step())
            if number % READ_EVERY == 0 or number == steps:
                row = meter.read()
                self.waits.append(row["input_wait_share"])
                if self._tracker is not None:
                    self._tracker.log(self._training.position.step, row)


class BareRestoration:
    """What one would write by hand for pairs."""

    def __init__(self, training: Trainer) -> None:
        parsed = training.recipe
        device = training.world.device
        self._network = started(parsed).to(device, memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(
            self._network.parameters(), parsed.optimizer.learning_rate, parsed.optimizer.betas
        )
        examples = [training.samples.examples(step)[0] for step in range(4)]
        self._batches = [(each.degraded_BCHW.to(device), each.target_BCHW.to(device)) for each in examples]

    def __call__(self, steps: int) -> None:
        for step in range(steps):
            degraded_BCHW, target_BCHW = self._batches[step % len(self._batches)]
            self._optimizer.zero_grad()
            F.l1_loss(self._network(degraded_BCHW), target_BCHW).backward()
            self._optimizer.step()


class BareGeneration:
    """What one would write by hand for DCGAN: generator's step, then discriminator's on its images."""

    def __init__(self, training: Trainer) -> None:
        parsed = training.recipe
        spec = parsed.discriminator
        assert spec is not None
        self._device = training.world.device
        self._generator: Any = started(parsed).to(self._device, memory_format=torch.channels_last)
        self._discriminator = build_discriminator(spec.architecture, spec.arguments).to(self._device)
        rates = parsed.optimizer.learning_rate, parsed.optimizer.betas
        self._optimizers = [
            torch.optim.Adam(n.parameters(), *rates) for n in (self._generator, self._discriminator)
        ]
        self._batches = [training.samples.clean(step)[0].to(self._device) * 2 - 1 for step in range(4)]

    def __call__(self, steps: int) -> None:
        for step in range(steps):
            real_BCNN = self._batches[step % len(self._batches)]
            fake_BCNN = self._generator(
                torch.randn(len(real_BCNN), self._generator.latent, device=self._device)
            )
            self._optimizers[0].zero_grad()
            self._discriminator.requires_grad_(False)
            F.softplus(-self._discriminator(fake_BCNN)).mean().backward()
            self._discriminator.requires_grad_(True)
            self._optimizers[0].step()
            self._optimizers[1].zero_grad()
            real, fake = self._discriminator(real_BCNN), self._discriminator(fake_BCNN.detach())
            (F.softplus(-real).mean() + F.softplus(fake).mean()).backward()
            self._optimizers[1].step()


WAYS = {"alone": 1, "apart": 2, "in step": 2, "gloo": 2}
"""Number of workers by the way they go together."""


def beside_one_worker(folder: str, chosen: argparse.Namespace) -> None:
    """A line a way: medians over rounds in which the ways take turns."""
    rounds = [{way: workers(way, folder, chosen) for way in WAYS} for _ in range(max(1, chosen.rounds // 2))]
    for way in WAYS:
        seconds = statistics.median(each[way] for each in rounds)
        ratio = statistics.median(each[way] / each["alone"] for each in rounds)
        print(f"{way:8} {seconds:6.3f} s a step and worker  {ratio:5.3f} x one alone", flush=True)


def workers(way: str, folder: str, chosen: argparse.Namespace) -> float:
    """Median seconds of a step of the super-resolver, the slower worker's where there are two."""
    count, meeting = WAYS[way], f"file://{folder}/{uuid.uuid4().hex}"
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    processes = [
        context.Process(target=work, args=(way, folder, meeting, rank, count, chosen.steps, barrier, answers))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    return max(found)


def work(
    way: str, folder: str, meeting: str, rank: int, count: int, steps: int, barrier: Any, answers: Any
) -> None:
    torch.set_num_threads(1)
    world = World()
    if way == "gloo":
        dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
        world = World(rank, count)
    ours = OurSteps(training_of(super_resolver(folder, world.size), world))
    ours(WARM_UP)
    barrier.wait()

    def step(count: int) -> None:
        for _ in range(count):
            ours(1)
            if way == "in step":
                barrier.wait()

    answers.put(statistics.median(timed(step, 2)[0] for _ in range(max(1, steps // 2))))
    barrier.wait()
    if way == "gloo":
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
