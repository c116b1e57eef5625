"""Memory over a long run of small images: ``python benchmarks/memory.py --images 20000``.

Or of large ones: ``--images 100 --side 8000 --kind restore --restorer median --engine local``. Samples the
resident memory of the driver and of every worker twice a second. Flat means that the second half of the run
needs no more than the first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

DRIVER = """
import sys
from pipeline import run
from pipeline.ledger.run_folder import open_run
from pipeline.jobs.job import Job

if __name__ == "__main__":
    job = Job.model_validate_json(sys.argv[1])
    options = run.Options(engine=sys.argv[2], workers=int(sys.argv[3]))
    planned = run.plan(open_run(job), options)
    run.execute(open_run(job), options, planned)
    run.compact(open_run(job))
"""
INTERVAL = 0.5
MEGABYTE = 1 << 20

PHASES = {"first half": (0.0, 0.5), "second half": (0.5, 1.0), "tables": (1.0, 2.0)}
"""Share of the units that are committed, from and below; tables are made when all are."""

Samples = list[tuple[float, dict[str, int]]]
"""(share of the units that are committed, bytes by process)."""


def main() -> None:
    """Prints the peaks of the driver and of the largest worker in each phase of the run."""
    chosen = arguments()
    from collection import write_photographs

    with tempfile.TemporaryDirectory(prefix="restora-memory-") as folder:
        write_photographs(Path(folder) / "in", chosen.images, chosen.side)
        samples = sampled(chosen, Path(folder))
    for name in sorted({name for _, found in samples for name in found}):
        peaks = {
            phase: max((found.get(name, 0) for share, found in samples if low <= share < high), default=0)
            for phase, (low, high) in PHASES.items()
        }
        print(f"{name:8}", *(f"{phase} {peak / MEGABYTE:.1f} MB" for phase, peak in peaks.items()), sep="  ")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--restorer", default="identity")
    parser.add_argument("--kind", choices=("benchmark", "restore"), default="benchmark")
    parser.add_argument("--engine", choices=("local", "ray"), default="ray")
    return parser.parse_args()


def sampled(chosen: argparse.Namespace, folder: Path) -> Samples:
    job = {
        "name": "memory",
        "kind": chosen.kind,
        "output": str(folder / "out"),
        "datasets": [{"name": "photographs", "uri": str(folder / "in")}],
        "restorers": [chosen.restorer],
    }
    if chosen.kind == "benchmark":
        job |= {"degradations": ["awgn-25"], "metrics": ["psnr", "ssim"], "save": "restored"}
    books = folder / "out" / ("" if chosen.kind == "benchmark" else "_restora")
    workers = 2 if chosen.engine == "ray" else 1
    paths = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    driver = psutil.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(job), chosen.engine, str(workers)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
    )
    samples: Samples = []
    units = 0
    while driver.poll() is None:
        if resident := memory_of(driver):
            committed = sum(1 for _ in (books / "ledger").rglob("*.parquet"))
            units = units or planned_units(books)
            samples.append((committed / units if units else 0.0, resident))
        time.sleep(INTERVAL)
    assert driver.returncode == 0, f"the run ended with {driver.returncode}"
    return samples


def planned_units(books: Path) -> int:
    """Of the plan in this run folder; 0 while there is none."""
    try:
        return pq.ParquetFile(books / "plan" / "units.parquet").metadata.num_rows
    except FileNotFoundError:
        return 0


def memory_of(driver: psutil.Popen) -> dict[str, int]:
    """Resident bytes of the driver and, under one name, of its largest worker."""
    found = {}
    try:
        found["driver"] = driver.memory_info().rss
        children = driver.children(recursive=True)
    except psutil.Error:
        return found
    for child in children:
        try:
            title = (child.cmdline() or [""])[0]
            if title.startswith("ray::") and "Replica" in title:
                found["worker"] = max(found.get("worker", 0), child.memory_info().rss)
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
