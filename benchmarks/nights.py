"""Kills nights at random moments: ``python -m benchmarks.nights --rows 100000 --kills 200``.

Beneath lies a synthetic ledger of so many rows, written as segments through the product's own code. Every
night ten objects are added to the listing and the same job runs: planned, ten rows committed unit by unit (no
image is restored), sealed and compacted into a table in parts. A process is killed with SIGKILL at a moment
drawn from the time that a night takes; the next night goes on. After every ``--prove-every`` nights one may
finish, and nothing may be missing or doubled, neither in the ledger nor for who reads the bare folder of the
table: a line says so, and a benchmark that is stopped has shown what stands in its last line.
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

from synthetic import OPTIONS, Arithmetic, commit_units, job_of, seal_units

from pipeline import run
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.results import tables

ADDED = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--prove-every", type=int, default=20, help="nights between two proofs")
    parser.add_argument("--scratch", help="where the run folder goes; some 200 bytes a row are needed")
    parser.add_argument("--night", type=int, help="one night alone, in --folder: what the script calls")
    parser.add_argument("--folder")
    chosen = parser.parse_args()
    fsspec.register_implementation("synthetic", Arithmetic)
    if chosen.night is not None:
        night(chosen.folder, chosen.rows + ADDED * chosen.night, is_first=chosen.night == 0)
        return
    with tempfile.TemporaryDirectory(prefix="restora-nights-", dir=chosen.scratch) as folder:
        run_nights(folder, chosen.rows, chosen.kills, chosen.prove_every)


def run_nights(folder: str, rows: int, kills: int, prove_every: int) -> None:
    """Nights until so many were killed before their end, with a proof after every few and at the end."""
    finish(folder, rows, 0)
    takes, killed, number, rng = 0.0, 0, 0, random.Random(1)
    while killed < kills:
        number += 1
        if number == 1 or number % prove_every == 0:
            takes = max(finish(folder, rows, number), finish(folder, rows, number))
            prove(folder, rows + ADDED * number)
            print(f"{number} nights over {rows:,} rows, {killed} killed: nothing lost or doubled", flush=True)
        else:
            killed += is_killed(begin(folder, rows, number), rng.uniform(0.2, 1.0) * takes)
    finish(folder, rows, number)
    prove(folder, rows + ADDED * number)
    print(f"{number} nights over {rows:,} rows, {killed} killed: nothing lost or doubled, at the end")


def finish(folder: str, rows: int, number: int) -> float:
    """The seconds that the night takes when nobody kills it."""
    started = time.monotonic()
    assert begin(folder, rows, number).wait() == 0
    return time.monotonic() - started


def is_killed(process: subprocess.Popen[bytes], after: float) -> bool:
    """Whether it was still running after so many seconds."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    ended = process.wait()
    assert ended in (0, -signal.SIGKILL), f"a night ended by {ended}"
    return ended != 0


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
