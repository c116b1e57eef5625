"""A scene larger than memory: ``python benchmarks/scenes.py --side 30000``.

Writes a compressed four-band uint16 COG out of a repeated Landsat scene, restores it with a light network in
one worker, and prints the worker's peak memory and its wall time over the sum of what cannot be avoided,
measured in the same run: reading every tile, the network on every tile, writing every tile.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch

from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run

LANDSAT = Path("/usr/lib/R/site-library/stars/tif/L7_ETMs.tif")  # Debian's r-cran-stars
BANDS, BLOCK = 4, 2048
GIGABYTE = 1 << 30


def main() -> None:
    """Prints one line for each part, the sum, and the ratio."""
    chosen = arguments()
    if chosen.stage:
        print(json.dumps(STAGES[chosen.stage](chosen.folder, chosen.rows or chosen.side, chosen.side)))
        return
    with tempfile.TemporaryDirectory(prefix="restora-scenes-", dir=chosen.folder) as folder:
        size = chosen.rows or chosen.side, chosen.side
        found = {name: in_a_process(name, Path(folder), *size) for name in STAGES}
        show(found, *size, (Path(folder) / "in" / "scene.tif").stat().st_size)


def show(found: dict[str, dict], height: int, width: int, size: int) -> None:
    """Prints the parts, their sum and the run beside it, by the clock and in time of the cores."""
    raw = height * width * BANDS * 2
    print(
        f"{width} x {height} x {BANDS} uint16: {raw / GIGABYTE:.2f} GB, {size / GIGABYTE:.2f} GB compressed"
    )
    parts = [found[name] for name in ("read", "network", "write")]
    total = {unit: sum(part[unit] for part in parts) for unit in ("seconds", "cpu", "peak")}
    for name, part in {**found, "sum": total}.items():
        peak = "" if name == "sum" else f"  peak {part['peak'] / GIGABYTE:.2f} GB"
        print(f"{name:8} {part['seconds']:8.1f} s {part['cpu']:8.1f} s of cores{peak}")
    wall, cores = (found["restore"][unit] / total[unit] for unit in ("seconds", "cpu"))
    print(f"restore / sum: {wall:.2f} by the clock (aim <= 1.15), {cores:.2f} of the cores")
    print(f"peak of the worker: {found['restore']['peak'] / GIGABYTE:.2f} GB (aim <= 2)")
    print(f"units: {found['restore']['units']}")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=6000)
    parser.add_argument("--rows", type=int, help="fewer rows than columns: memory grows with the width alone")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="needs 4 x the samples"
    )
    parser.add_argument("--stage", choices=tuple(STAGES), help=argparse.SUPPRESS)
    return parser.parse_args()


def in_a_process(stage: str, folder: Path, height: int, width: int) -> dict:
    """What a stage says; each has a process of its own, so that peaks do not mix."""
    size = ["--rows", str(height), "--side", str(width)]
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder), *size]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    print(f"({stage} done)", file=sys.stderr)
    return json.loads(ended.stdout.splitlines()[-1])


def timed(work: Callable[[], object]) -> dict:
    """Seconds by the clock and of the cores, and the process's peak of resident bytes."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak": after.ru_maxrss * 1024}


def make(folder: Path, height: int, width: int) -> dict:
    """The scene, the network's weights, and files of samples to write from."""
    from pipeline.formats.geotiff.header import Band, RasterHeader
    from pipeline.formats.geotiff.mosaic import write_mosaic

    (folder / "in").mkdir()
    (folder / "blocks").mkdir()
    write_weights(folder / "light.safetensors")
    header = RasterHeader(
        height, width, (Band(),) * BANDS, crs="EPSG:32632", transform=(5e5, 10.0, 0.0, 4e6, 0.0, -10.0)
    )
    blocks = tiles_of(folder, height, width)
    return timed(
        lambda: write_mosaic(
            folder / "in" / "scene.tif", blocks, header, "uint16", mask=False, level=1, threads=2
        )
    )


def tiles_of(folder: Path, height: int, width: int) -> list:
    """Rectangles that cover the scene, out of few files: four parts of the same ground, and edges."""
    import rasterio

    from pipeline.formats.geotiff.mosaic import Block

    with rasterio.open(LANDSAT) as raster:
        ground = raster.read((1, 2, 3, 4)).astype(np.uint16)
    ground = np.tile(ground, (1, 8, 8))
    found = []
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            rows, columns = min(BLOCK, height - top), min(BLOCK, width - left)
            shift = 37 * ((top + left) // BLOCK % 4)
            path = folder / "blocks" / f"{rows}-{columns}-{shift}.raw"
            if not path.exists():
                # 12 bits of reflectance with the sensor's noise: what a satellite sends, not what compresses.
                noise = np.random.default_rng(shift).normal(0, 2, (BANDS, rows, columns))
                part = ground[:, shift : shift + rows, 2 * shift : 2 * shift + columns] * 40.0
                np.clip(part + noise + 100, 1, 10_000).astype(np.uint16).tofile(path)
            found.append(Block(path, top, left, rows, columns))
    return found


def write_weights(path: Path) -> None:
    """A light network: FFDNet of four bands, 16 features and three layers, its last layer drawn."""
    from models.card import Card
    from models.networks import build_network, card_facts
    from models.weights import save_weights

    torch.manual_seed(0)
    chosen = {"channels": BANDS, "features": 16, "layers": 3, "predicts": "noise"}
    network = build_network("ffdnet", chosen)
    torch.nn.init.normal_(network.convolutions[-1].weight, std=0.01)
    card = Card(
        name="light",
        summary="For timing alone.",
        task="denoising",
        architecture="ffdnet",
        arguments=chosen,
        **card_facts(network),
    )
    save_weights(path, card, network.state_dict())


def job_of(folder: Path) -> Job:
    """The job that restores the scene."""
    return Job.parse(
        {
            "name": "scenes",
            "kind": "restore",
            "output": str(folder / "out"),
            "datasets": [{"name": "scenes", "uri": str(folder / "in")}],
            "restorers": [{"name": "light", "weights": str(folder / "light.safetensors"), "noise_level": 5}],
        }
    )


def restore(folder: Path, height: int, width: int) -> dict:
    """The whole run but table and report, in one process with one worker: plan, strips, join."""
    import pipeline.worker.worker  # noqa: F401 - imports are no part of the time
    from pipeline import run
    from pipeline.ledger.run_folder import folder_for
    from pipeline.planning.plan_files import read_units

    job, options = job_of(folder), run.Options(engine="local")
    found = timed(lambda: run.execute(open_run(job), options, run.plan(open_run(job), options)))
    assert (folder / "out" / "scene.tif").exists(), "not restored; the ledger says why"
    return found | {"units": sum(1 for _ in read_units(folder_for(job)))}


def read(folder: Path, height: int, width: int) -> dict:
    """Every tile of the file decoded once, in order, and nothing done with it."""
    from pipeline.formats.base import Limits
    from pipeline.scenes.reader import Scene
    from pipeline.storage.folder import Folder

    scene = Scene(Folder(str(folder / "in")), "scene.tif", Limits(height * width))
    return timed(lambda: [None for _ in scene.groups(0, height)])


def network(folder: Path, height: int, width: int) -> dict:
    """The restorer on every panel, its input already in memory."""
    from models.contract import Condition
    from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
    from pipeline.recipe.weights import fetch_restorer
    from pipeline.scenes.geometry import panels, row_bands

    restorer = fetch_restorer(str(folder / "light.safetensors"))
    fitted = AutoTiledRestorer(restorer, restorer.card.weights_sha256, torch.device("cpu"))
    condition = Condition(noise_level_B=torch.full((1,), 5 / 255))
    image_1CHW = torch.rand(1, BANDS, 700, BLOCK + 200)

    def work() -> None:
        for band in row_bands((0, height)):
            for panel in panels(band, (height, width), restorer.card):
                rows = panel.read_rows[1] - panel.read_rows[0]
                columns = panel.read_columns[1] - panel.read_columns[0]
                fitted(image_1CHW[..., :rows, :columns].contiguous(), condition)

    return timed(work)


def write(folder: Path, height: int, width: int) -> dict:
    """GDAL's COG driver on every tile, from files of samples, and the file put into its store."""
    from pipeline.formats.geotiff.header import Band, RasterHeader
    from pipeline.formats.geotiff.mosaic import write_mosaic
    from pipeline.storage.folder import Folder

    header = RasterHeader(height, width, (Band(),) * BANDS)

    def work() -> None:
        path = folder / "written.tif"
        write_mosaic(path, tiles_of(folder, height, width), header, "uint16", mask=False, level=1, threads=2)
        Folder(str(folder / "store")).put_file("scene.tif", path)

    found = timed(work)
    shutil.rmtree(folder / "store")
    os.remove(folder / "written.tif")
    return found


STAGES = {"make": make, "read": read, "network": network, "write": write, "restore": restore}
"""In this order."""

if __name__ == "__main__":
    main()
