"""Kills nights at random moments: ``python benchmarks/nights.py --rows 100000 --nights 200``.

Beneath lies a synthetic ledger of so many rows, written as segments through the product's own code. Every
night ten objects are added to the listing and the same job runs: planned, ten rows committed unit by unit (no
image is restored), sealed and compacted into a table in parts. A process is killed with SIGKILL at a moment
drawn from the time that a night takes; the next night goes on. At the end nothing may be missing or doubled,
neither in the ledger nor for who reads the bare folder of the table.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

from scale import OPTIONS, Arithmetic, commit_units, job_of, seal_units

from pipeline import run
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.results import tables

ADDED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--night", type=int, help="one night alone, in --folder: what the script calls")
    parser.add_argument("--folder")
    chosen = parser.parse_args()
    fsspec.register_implementation("synthetic", Arithmetic)
    if chosen.night is not None:
        night(chosen.folder, chosen.rows + ADDED * chosen.night, is_first=chosen.night == 0)
        return
    with tempfile.TemporaryDirectory(prefix="restora-nights-") as folder:
        killed = nights(folder, chosen.rows, chosen.nights)
        prove(folder, chosen.rows + ADDED * chosen.nights)
        over = f"{chosen.nights} nights over {chosen.rows:,} rows, {killed} of them killed"
        print(f"{over}: nothing lost or doubled")


def nights(folder: str, rows: int, count: int) -> int:
    """How many were killed before their end; the last one may finish."""
    assert begin(folder, rows, 0).wait() == 0
    started = time.monotonic()
    for _ in range(2):  # the second is what later ones are like
        started = time.monotonic()
        assert begin(folder, rows, 1).wait() == 0
    takes, killed, rng = time.monotonic() - started, 0, random.Random(1)
    for number in range(2, count + 1):
        process = begin(folder, rows, number)
        if number < count:
            try:
                process.wait(rng.uniform(0.2, 1.0) * takes)
            except subprocess.TimeoutExpired:
                process.kill()
        ended = process.wait()
        assert ended in (0, -signal.SIGKILL), f"night {number}: ended by {ended}"
        killed += ended != 0
    return killed


def begin(folder: str, rows: int, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--night", str(number), "--folder", folder, "--rows", str(rows)]
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path})


def night(folder: str, images: int, is_first: bool) -> None:
    Arithmetic.count = images
    sealing.SEAL_AT, tables.ONE_FILE_ROWS = 3, 1000
    with run.open_run(job_of(folder), OPTIONS) as opened:
        run.plan(opened, OPTIONS)
        if is_first:
            seal_units(opened)
        else:
            commit_units(opened)
        run.compact(opened)


def prove(folder: str, images: int) -> None:
    opened = open_run(job_of(folder))
    assert run.verify(opened).is_whole
    assert len(opened.ledger.committed().done) == images
    seen = pq.read_table(f"{opened.folder.url}/{tables.METRIC_TABLE}", columns=["source_id"])["source_id"]
    assert len(seen) == len(np.unique(seen.to_numpy(zero_copy_only=False))) == images


if __name__ == "__main__":
    main()
