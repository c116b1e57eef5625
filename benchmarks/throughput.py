"""Images per second of both engines beside a plain loop: ``python benchmarks/throughput.py --images 1000``.

One job three ways: a hand-written loop in one thread that calls the same functions one image at a time, the
local engine with one worker, and the Ray engine with two. Each runs in a process of its own with one thread
of mathematics per worker. Rates count from the first 32 images or the first committed unit on; the time up
to the first commit, from the start of the process, stands apart. Only ratios within one round mean anything.

Two more lines say what the machine and Ray allow: ``loops`` is two of the loops at once, each on half of the
images, which is all that two cores that share memory and clock have to give; ``bare`` is a Ray Data pool of
two actors that import torch and nothing of ours, up to its first answer.

Processor time an image is that of all processes of a way, Ray's own among them, over the same images. It
says what a way costs where other work on the machine makes its rate worthless.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

STARTED = time.time()

from pipeline.jobs.job import Job  # noqa: E402 - the clock starts first
from pipeline.ledger.run_folder import open_run  # noqa: E402

WARM_UP = 32
WORKERS = {"loop": 1, "loops": 2, "local": 1, "ray": 2, "bare": 2}


def main() -> None:
    """Prints one line a round, then medians."""
    chosen = arguments()
    if chosen.way is not None:
        print(json.dumps(measured(chosen)))
        return
    from collection import write_photographs

    machine = platform.processor() or platform.machine()
    print(f"{machine}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{chosen.images} PNG of 256 x 256, awgn-25, {chosen.restorer}, psnr and ssim, restored saved")
    with tempfile.TemporaryDirectory(prefix="restora-throughput-") as folder:
        write_photographs(Path(folder) / "in", chosen.images, 256)
        rounds = [one_round(chosen, folder, number) for number in range(chosen.rounds)]
    for way in WORKERS:
        rate = statistics.median(each[way]["rate"] for each in rounds)
        ratio = statistics.median(each[way]["rate"] / each["loop"]["rate"] for each in rounds)
        start = statistics.median(each[way]["first"] for each in rounds)
        cpu = statistics.median(each[way]["cpu"] for each in rounds)
        rates = f"{rate:8.2f} images/s  {ratio:5.2f} x loop  {1000 * cpu:6.0f} ms of a core an image  "
        print(f"{way:6} {rates if rate == rate else ' ' * 60}first commit after {start:5.1f} s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restorer", default="ffdnet-colour")
    parser.add_argument("--way", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def one_round(chosen: argparse.Namespace, folder: str, number: int) -> dict[str, dict[str, float]]:
    found = {}
    for way in WORKERS:
        command = [
            sys.executable, __file__, "--way", way, "--restorer", chosen.restorer,
            "--folder", folder, "--output", f"{folder}/{way}-{number}",
        ]  # fmt: skip
        paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found[way] = json.loads(ended.stdout.splitlines()[-1])
    print("  ".join(f"{way} {each['rate']:.2f}/s" for way, each in found.items()), flush=True)
    return found


def measured(chosen: argparse.Namespace) -> dict[str, float]:
    """Rate and time to the first commit of one way."""
    job = Job.parse(
        {
            "name": "throughput",
            "output": str(chosen.output),
            "datasets": [{"name": "photographs", "uri": str(chosen.folder / "in")}],
            "degradations": ["awgn-25"],
            "restorers": [chosen.restorer],
            "metrics": ["psnr", "ssim"],
            "save": "restored",
        }
    )
    if chosen.way == "bare":
        return bare()
    if chosen.way == "loops":
        return loops(job)
    return loop(job) if chosen.way == "loop" else engine(job, chosen.way)


def loops(job: Job) -> dict[str, float]:
    """Two loops in processes of their own, every other image each: rates added, the later first commit."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        halves = pool.starmap(loop, [(job, 2, index) for index in range(2)])
    return {
        "rate": sum(half["rate"] for half in halves),
        "first": max(half["first"] for half in halves),
        "cpu": statistics.mean(half["cpu"] for half in halves),
    }


def processor_seconds() -> float:
    """Of this process and all below it, those that have ended included."""
    own = psutil.Process()
    found = 0.0
    for each in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            found += times.user + times.system + times.children_user + times.children_system
    return found


def bare() -> dict[str, float]:
    """Time from the start of the process to the first answer of a Ray Data pool that does nothing."""
    import numpy as np
    import ray.data

    class Nothing:
        def __init__(self) -> None:
            import torch

            self.version = str(torch.__version__)

        def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return batch

    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    pool = ray.data.ActorPoolStrategy(size=2)
    rows = ray.data.range(8, override_num_blocks=8).map_batches(Nothing, compute=pool, num_cpus=1)
    next(iter(rows.iter_batches(batch_size=None, prefetch_batches=0)))
    return {"rate": float("nan"), "first": time.time() - STARTED, "cpu": float("nan")}


def engine(job: Job, way: str) -> dict[str, float]:
    from pipeline import run

    options = run.Options(engine=way, workers=WORKERS[way])
    planned = run.plan(open_run(job), options)
    before = time.time() - STARTED
    taken = []

    def at_both_ends(progress: run.Progress) -> None:
        if progress.units in (1, progress.units_total):  # Ray is still there
            taken.append(processor_seconds())

    progress = run.execute(open_run(job), options, planned, at_both_ends)
    assert progress.quarantined == 0, dict(progress.reasons)
    counted = progress.images - progress.first_images
    return {
        "rate": counted / (progress.seconds - progress.first_commit),
        "first": before + progress.first_commit,
        "cpu": (taken[-1] - taken[0]) / counted,
    }


def loop(job: Job, of: int = 1, index: int = 0) -> dict[str, float]:
    """What one would write for one image: read, decode, degrade, restore, score, encode, store, note.

    Takes every ``of``-th image from the ``index``-th on.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    from pipeline.formats import FORMATS, decode
    from pipeline.hashing import sha256_hex
    from pipeline.imaging.radiometry import quantised, to_stored, to_tensor
    from pipeline.recipe.recipe import Recipe
    from pipeline.storage.folder import Folder

    torch.set_num_threads(1)
    device = torch.device("cpu")
    recipe = Recipe.of(job)
    (degradation,), (built,) = recipe.degradations, recipe.restorers
    source, output = Folder(job.datasets[0].uri), Folder(job.output)
    rows, marks = [], []
    with torch.inference_mode():
        for key in sorted(os.listdir(source.url))[index::of]:
            data = source.read(key)
            image = decode(data)
            reference = to_tensor(image, device)
            degraded = degradation(reference, degradation.seed(0, "photographs", key))
            restored = built.restorer(degraded.image_BCHW, condition=degraded.condition)
            restored, _ = quantised(restored, image.domain)
            row = {"key": key, "source_sha256": sha256_hex(data)}
            for name, metric in recipe.metrics.items():
                row[name] = float(metric(restored, reference, None))
                row[f"{name}_degraded"] = float(metric(degraded.image_BCHW, reference, None))
            encoded = FORMATS["png"].encode(image.with_pixels(to_stored(restored, image.domain)[0]))
            output.put(f"objects/{key}", encoded)
            rows.append(row | {"output_sha256": sha256_hex(encoded), "output_bytes": len(encoded)})
            marks.append((time.time(), time.process_time()))
    pq.write_table(pa.Table.from_pylist(rows), f"{output.url}/metrics-{index}.parquet")
    first = min(WARM_UP, len(marks) // 2)
    counted, (began, taken) = len(marks) - first, marks[first - 1]
    return {
        "rate": counted / (time.time() - began),
        "first": began - STARTED,
        "cpu": (time.process_time() - taken) / counted,
    }


if __name__ == "__main__":
    main()
