"""One replica on the device that is here, beside its bound: ``python benchmarks/accelerator_real.py``.

The product's own worker restores images of one size with a network of full size and random weights, PNG in
and out, then JPEG. The terms of the bound are measured in the same run, one by one: decoding, upload with
conversion, and encoding on one core; the network on the device. Bound: the longer of the device's time and
the host's time divided by the cores. Prints one Markdown table.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from generated import generated

from models.card import Card
from models.contract import Condition
from models.networks import build_network, card_facts
from models.weights import save_weights

DISTINCT = 32
"""Images that differ; the others are copies under other names."""
BATCH = 8
ROUNDS = 10


def main() -> None:
    """One line a format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--architecture", default="drunet", help="with its own defaults")
    chosen = parser.parse_args()
    name = torch.cuda.get_device_name() if chosen.device == "cuda" else "CPU"
    print(f"{chosen.architecture}, {chosen.images} images of {chosen.side} x {chosen.side}, {name}, ", end="")
    print(f"{chosen.cores} cores, torch {torch.__version__}\n")
    print("| format | decode | upload | device | encode | bound | images/s | bound / wall |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    with tempfile.TemporaryDirectory(prefix="restora-accelerator-") as folder:
        for kind in ("png", "jpeg"):
            print(line(Path(folder) / kind, kind, chosen), flush=True)
    print("\nMilliseconds an image; decode, upload and encode of one core.")


def line(folder: Path, kind: str, chosen: argparse.Namespace) -> str:
    """The terms and what the worker takes, as a row of the table."""
    from pipeline.ledger.run_folder import open_run
    from pipeline.planning.plan import make_plan
    from pipeline.planning.plan_files import read_units
    from pipeline.worker.worker import Worker

    files = write_images(folder / "in", kind, chosen)
    run = open_run(job_of(folder, kind, chosen))
    make_plan(run, workers=1)
    worker = Worker(run, chosen.device, chosen.cores)
    terms = measured_terms(files, worker, torch.device(chosen.device))
    started = time.perf_counter()
    for _, rows in worker.stream(read_units(run.folder)):
        assert all(row["status"] == "ok" for row in rows), rows[0]
    wall = 1000 * (time.perf_counter() - started) / chosen.images
    host = (terms["decode"] + terms["upload"] + terms["encode"]) / chosen.cores
    bound = max(terms["device"], host)
    cells = [f"{terms[name]:.2f}" for name in ("decode", "upload", "device", "encode")]
    return (
        f"| {kind} | "
        + " | ".join([*cells, f"{bound:.2f}", f"{1000 / wall:.1f}", f"{bound / wall:.3f}"])
        + " |"
    )


def measured_terms(files: list[Path], worker: Any, device: torch.device) -> dict[str, float]:
    """Milliseconds an image of each station, one at a time."""
    from pipeline.formats import decode, encode
    from pipeline.imaging.radiometry import to_tensor

    datas = [each.read_bytes() for each in files]
    images = [decode(each) for each in datas]
    (built,) = worker.recipe.restorers
    batch_BCHW = torch.cat([to_tensor(images[i % len(images)], device) for i in range(BATCH)])
    fitted, condition = worker._processor.fitted(built.name), Condition()

    def restore(_: int) -> None:
        with torch.inference_mode():
            fitted(batch_BCHW, condition)
        finish(device)

    def upload(number: int) -> None:
        to_tensor(images[number], device)
        finish(device)

    return {
        "decode": milliseconds(lambda number: decode(datas[number]), len(datas)),
        "upload": milliseconds(upload, len(datas)),
        "device": milliseconds(restore, ROUNDS) / BATCH,
        "encode": milliseconds(lambda number: encode(images[number]), len(datas)),
    }


def milliseconds(work: Callable[[int], object], times: int) -> float:
    """Of one call, after one that does not count."""
    work(0)
    started = time.perf_counter()
    for number in range(times):
        work(number)
    return 1000 * (time.perf_counter() - started) / times


def finish(device: torch.device) -> None:
    """Until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def write_images(folder: Path, kind: str, chosen: argparse.Namespace) -> list[Path]:
    """So many files; those that differ are returned."""
    from PIL import Image

    folder.mkdir(parents=True)
    distinct = min(DISTINCT, chosen.images)
    ending, options = {"png": (".png", {"compress_level": 1}), "jpeg": (".jpg", {"quality": 92})}[kind]
    files = [folder / f"{number:06d}{ending}" for number in range(chosen.images)]
    for number, file in enumerate(files[:distinct]):
        Image.fromarray(generated(number, chosen.side)).save(file, **options)
    for number, file in enumerate(files[distinct:]):
        shutil.copyfile(files[number % distinct], file)
    return files[:distinct]


def job_of(folder: Path, kind: str, chosen: argparse.Namespace) -> Any:
    from pipeline.jobs.job import Job

    torch.manual_seed(0)
    network = build_network(chosen.architecture, {})
    card = Card(
        name=chosen.architecture, summary="Random weights.", task="denoising", source="random",
        architecture=chosen.architecture, **card_facts(network),
    )  # fmt: skip
    path = folder / f"{chosen.architecture}.safetensors"
    save_weights(path, card, {name: 0.1 * each for name, each in network.state_dict().items()})
    restorer = {"name": "random", "weights": str(path)}
    if "noise_level" in card.needs:
        restorer["noise_level"] = 15
    return Job.parse(
        {
            "name": "accelerator",
            "kind": "restore",
            "output": str(folder / "out"),
            "datasets": [{"name": "images", "uri": str(folder / "in")}],
            "restorers": [restorer],
        }
    )


if __name__ == "__main__":
    main()
