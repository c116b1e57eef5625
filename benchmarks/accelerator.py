"""How close one replica comes to its bound, on a simulated device: ``python benchmarks/accelerator.py``.

The product's own worker restores small images while every stage takes a known time: the restorer sleeps on
the "device", one batch after the other, with as many asked for ahead as on a GPU; decoding, conversion and
encoding sleep under a semaphore of so many cores, and every request to the store its latency. The bound is
what no order of the work can beat: the longer of the device's time and the host's time divided by the cores.
``bound / wall`` is printed for each setting, and then where the rest went: before the first call of the
device, between its calls, after the last.

Times are stretched until the images of a setting take ``--seconds`` at the bound, so that what this machine
itself adds (Python, other users) stays small beside what is simulated. There are so many images that filling
and draining, which is what one image takes from its first request to its unit's commit, is at most
``FILLING`` of a run. Each setting runs in a process of its own, ``--together`` of them at a time, since they
mostly sleep.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

DECODE, CONVERT, ENCODE = 8.0, 2.0, 7.5
"""Milliseconds of one core for a PNG of 512 x 512 x 3, measured."""
REQUESTS = {"read": 1, "head": 1, "exists": 2, "put": 1, "create": 1, "delete": 1}
"""Requests in a row of one call of a store on S3, counted on an endpoint."""
IN_A_ROW = 4
"""Requests between the beginning of a unit and its commit: noted, read, stored, committed."""
FILLING = 0.03
"""Of the time at the bound."""
LEAST_IMAGES = 256


@dataclass(frozen=True)
class Setting:
    """One line of the table; times in milliseconds an image, of a request for ``latency``."""

    device: float
    cores: int
    latency: float
    shapes: int
    unit: int
    seconds: float
    """That all images take at the bound."""
    given: int | None = None
    """Images; ``None``: enough."""

    @property
    def bound(self) -> float:
        """Of an image, in milliseconds."""
        return max(self.device, (DECODE + CONVERT + ENCODE) / self.cores)

    @property
    def images(self) -> int:
        """So many that filling and draining hardly counts."""
        through = IN_A_ROW * self.latency + DECODE + CONVERT + self.device + ENCODE
        return self.given or max(LEAST_IMAGES, int(through / (FILLING * self.bound)))

    @property
    def stretch(self) -> float:
        """What one millisecond of the setting takes, in seconds."""
        return self.seconds / self.images / self.bound


def main() -> None:
    """Prints the table; with ``--setting``, runs one and prints its times as JSON."""
    chosen = arguments()
    if chosen.setting is not None:
        print(json.dumps(measured(Setting(**json.loads(chosen.setting)))))
        return
    settings = list(all_settings(chosen))
    with ThreadPoolExecutor(chosen.together) as pool:
        found = dict(zip(settings, pool.map(in_process, settings), strict=True))
    for line in (*table(found), "", *timeline(found)):
        print(line)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, help="so many, and not as many as it takes")
    parser.add_argument("--unit", type=int, default=32, help="images a unit")
    parser.add_argument("--device", type=float, nargs="+", default=[26.0, 8.8, 1.0], help="ms an image")
    parser.add_argument("--cores", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 25.0], help="ms a request")
    parser.add_argument("--shapes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=40.0, help="that a setting takes at the bound")
    parser.add_argument("--together", type=int, default=2, help="settings at a time")
    parser.add_argument("--setting", help=argparse.SUPPRESS)
    return parser.parse_args()


def all_settings(chosen: argparse.Namespace) -> Iterator[Setting]:
    for cores, latency, shapes, device in product(chosen.cores, chosen.latency, chosen.shapes, chosen.device):
        yield Setting(device, cores, latency, shapes, chosen.unit, chosen.seconds, chosen.images)


def table(found: dict[Setting, dict[str, float]]) -> Iterator[str]:
    """Markdown, a column for each time of the device."""
    devices = sorted({each.device for each in found}, reverse=True)
    yield "| cores | ms a request | shapes | " + " | ".join(f"device {ms:g} ms" for ms in devices) + " |"
    yield "| ---: " * (3 + len(devices)) + "|"
    for key in dict.fromkeys((each.cores, each.latency, each.shapes) for each in found):
        ratios = {
            setting.device: times["bound"] / times["wall"]
            for setting, times in found.items()
            if (setting.cores, setting.latency, setting.shapes) == key
        }
        cells = " | ".join(f"{ratios[ms]:.2f}" for ms in devices)
        yield f"| {key[0]} | {key[1]:g} | {key[2]} | {cells} |"


def timeline(found: dict[Setting, dict[str, float]]) -> Iterator[str]:
    """Markdown: of each run's time, in per cent."""
    yield "| cores | ms a request | shapes | device ms | images | filling | device | waiting | draining |"
    yield "| ---: " * 9 + "|"
    for each, times in found.items():
        waiting = times["wall"] - times["filling"] - times["device"] - times["draining"]
        parts = times["filling"], times["device"], waiting, times["draining"]
        shares = " | ".join(f"{100 * part / times['wall']:.1f}" for part in parts)
        setting = f"{each.cores} | {each.latency:g} | {each.shapes} | {each.device:g} | {each.images}"
        yield f"| {setting} | {shares} |"


def in_process(setting: Setting) -> dict[str, float]:
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, __file__, "--setting", json.dumps(asdict(setting))],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    times: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    print(f"{setting} {times}", file=sys.stderr, flush=True)
    return times


class Simulated:
    """The stages that sleep, put around the product's own functions."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._cores = threading.Semaphore(setting.cores)
        self._lock, self._device = threading.Lock(), threading.Lock()
        self.host = self.device = 0.0
        self.first = self.last = 0.0
        """When the device began its first call, and ended its last."""

    def install(self) -> None:
        """From here on this process takes the simulated times."""
        import pipeline.processing.auto_tiled_restorer as tiled
        import pipeline.processing.processor as processor
        import pipeline.worker.loading as loading
        import pipeline.worker.worker as worker
        from models.solvers.identity import Identity
        from pipeline.processing.batches import BATCH_PIXELS
        from pipeline.storage.disk import Disk
        from pipeline.worker.encoding import OutputEncoder

        loading.decode = self._on_a_core(loading.decode, DECODE)
        processor.to_tensor = self._on_a_core(processor.to_tensor, CONVERT)
        OutputEncoder.encode = self._on_a_core(OutputEncoder.encode, ENCODE)  # type: ignore[method-assign]
        Identity.__call__ = self._on_the_device(Identity.__call__)  # type: ignore[method-assign]
        for name, count in REQUESTS.items():
            setattr(Disk, name, self._over_the_network(getattr(Disk, name), count))
        worker.CPU_BATCH_PIXELS, tiled.CPU_CALL_PIXELS = BATCH_PIXELS, tiled.CALL_PIXELS["cuda"]

    def _on_a_core(self, real: Callable[..., Any], milliseconds: float) -> Callable[..., Any]:
        seconds = milliseconds * self._setting.stretch

        def slow(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self.host += seconds
            with self._cores:
                time.sleep(seconds)
            return real(*arguments, **named)

        return slow

    def _on_the_device(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def slow(solver: Any, degraded_BCHW: Any, condition: Any) -> Any:
            with self._device:  # one batch after the other, whoever asks
                started = time.perf_counter()
                time.sleep(self._setting.device * len(degraded_BCHW) * self._setting.stretch)
                self.last = time.perf_counter()
                self.first = self.first or started
                self.device += self.last - started
            return real(solver, degraded_BCHW, condition)

        return slow

    def _over_the_network(self, real: Callable[..., Any], requests: int) -> Callable[..., Any]:
        seconds = self._setting.latency * requests * self._setting.stretch

        def slow(*arguments: Any, **named: Any) -> Any:
            time.sleep(seconds)
            return real(*arguments, **named)

        return slow


def measured(setting: Setting) -> dict[str, float]:
    """Wall time of one replica over all units of a restore run, and the bound of the same run."""
    import torch

    from pipeline.ledger.run_folder import open_run
    from pipeline.planning.plan import make_plan
    from pipeline.planning.plan_files import read_units
    from pipeline.worker.device_queue import PLACES
    from pipeline.worker.worker import Worker

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="restora-accelerator-") as folder:
        write_images(Path(folder) / "in", setting)
        run = open_run(job_of(Path(folder), setting))
        make_plan(run, workers=1)
        units, worker = list(read_units(run.folder)), Worker(run, cores=setting.cores, places=PLACES)
        simulated = Simulated(setting)
        simulated.install()
        started = time.perf_counter()
        for _, rows in worker.stream(units):
            assert all(row["status"] == "ok" for row in rows), rows[0]
        ended = time.perf_counter()
    return {
        "wall": ended - started,
        "device": simulated.device,
        "bound": bound(setting, simulated),
        "filling": simulated.first - started,
        "draining": ended - simulated.last,
    }


def bound(setting: Setting, simulated: Simulated) -> float:
    return max(simulated.device, simulated.host / setting.cores)


def job_of(folder: Path, setting: Setting) -> Any:
    from pipeline.jobs.job import Job

    return Job.parse(
        {
            "name": "accelerator",
            "kind": "restore",
            "output": str(folder / "out"),
            "datasets": [{"name": "images", "uri": str(folder / "in")}],
            "restorers": ["identity"],
            "resources": {"unit_images": setting.unit},
        }
    )


def write_images(folder: Path, setting: Setting) -> None:
    """Noise of 16 x 16 pixels and a little more, of so many shapes in turn: real work is not the point."""
    import imagecodecs
    import numpy as np

    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(setting.images):
        shape = 16 + number % setting.shapes // 8, 16 + number % setting.shapes % 8, 3
        samples = rng.integers(0, 256, shape, np.uint8)
        (folder / f"{number:06d}.png").write_bytes(imagecodecs.png_encode(samples, level=1))


if __name__ == "__main__":
    main()
