"""Pairs, proved: ``python -m benchmarks.pairs set5 DATA`` and ``python -m benchmarks.pairs deaths``.

set5: the files of low and of high resolution of Set5 as found pairs, against the same pixels degraded here.
deaths: pairs of which some have faulty partners, killed at writes to the disk that are spread over the whole
run, run again, and compared with an undisturbed run: nothing lost, nothing doubled, every reason as it was.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.tables import read_metrics
from tests.dying import die_at, in_fork
from tests.helpers import (
    benchmark,
    complete,
    encoded,
    fill,
    lasting,
    metric_rows,
    photograph,
    plan_and_execute,
)

METRICS = ("psnr_y", "ssim_y", "psnr", "ssim")
RESTORERS = ("bicubic", "lanczos")
CALLS = ("replace", "link")
"""What puts a file at its place on a disk."""
app = typer.Typer(add_completion=False)


@app.command()
def set5(data: Annotated[Path, typer.Argument(help="Has Set5/HR and Set5/LR_bicubic/X4.")]) -> None:
    """Bicubic by 4 of Set5, both ways; ends with 1 where a score differs by more than 1e-6."""
    references = data / "Set5/HR"
    rule = {"uri": str(references), "match": r"(?P<id>.+)x4\.png", "reference": "{id}.png"}
    found = {"name": "set5", "uri": str(data / "Set5/LR_bicubic/X4"), "references": rule}
    made = {"name": "set5", "uri": str(references), "pattern": "*.png"}
    with tempfile.TemporaryDirectory() as folder:
        pairs = _scores(folder + "/pairs", datasets=[found])
        degraded = _scores(folder + "/made", datasets=[made], degradations=["bicubic-x4"])
    worst = max(float(np.abs(pairs[name] - degraded[name]).max()) for name in pairs)
    for (restorer, metric), values in pairs.items():
        other = degraded[restorer, metric].mean()
        print(f"{restorer:8} {metric:7} found {values.mean():.6f}  degraded {other:.6f}")
    print(f"greatest difference of any image: {worst:.2e}")
    raise typer.Exit(int(worst > 1e-6))


def _scores(output: str, **fields: Any) -> dict[tuple[str, str], np.ndarray[Any, Any]]:
    job = Job.parse({"name": "set5", "output": output, "restorers": RESTORERS, "metrics": METRICS} | fields)
    complete(job)
    rows = sorted(read_metrics(open_run(job)).to_pylist(), key=lambda row: row["key"])
    return {
        (restorer, metric): np.array([row[metric] for row in rows if row["restorer"] == restorer])
        for restorer in RESTORERS
        for metric in METRICS
    }


@app.command()
def deaths(pairs: int = 1000, faulty: int = 20, points: int = 40) -> None:
    """Kills the run at so many of its writes, one after the other; each time it is run again and compared."""
    with tempfile.TemporaryDirectory() as place:
        folder, begun = Path(place), time.monotonic()
        expected = _write(folder, pairs, faulty)
        whole = _job(folder, "whole")
        assert in_fork(lambda: _count_writes(whole, folder / "points")) == 0
        rows = _proved_rows(whole, folder)
        reasons = Counter(row["reason"] for row in rows if row["reason"])
        assert len(rows) == pairs, len(rows)
        assert reasons == expected, (reasons, expected)
        last = int((folder / "points").read_text())
        tried = np.unique(np.linspace(0, last - 1, points).astype(int)).tolist()
        for point in tried:
            job = _job(folder, f"dead-{point}")
            ended = in_fork(lambda job=job, point=point: _run(job, point))  # type: ignore[misc]
            assert ended == -signal.SIGKILL, (point, ended)
            assert in_fork(lambda job=job: _run(job)) == 0, point  # type: ignore[misc]
            assert _proved_rows(job, folder) == rows, f"point {point}: other rows than an undisturbed run"
        seconds = time.monotonic() - begun
        print(f"{pairs} pairs, {dict(reasons)}: {last} points, {len(tried)} kills, {seconds:.0f} s")


def _write(folder: Path, pairs: int, faulty: int) -> Counter[str]:
    """The pairs; how often each reason is to be expected."""
    expected: Counter[str] = Counter()
    photographs = [photograph(i, 16, 16) for i in range(8)]
    for i in range(pairs):
        image = photographs[i % 8]
        fill(folder / "in", {f"{i:05d}.png": encoded(image)})
        sharp = {f"{i:05d}.png": encoded(image)}
        if i % (pairs // faulty) == 0 and sum(expected.values()) < faulty:
            reason, sharp = _spoilt(i, image, sum(expected.values()) % 5)
            expected[reason] += 1
        fill(folder / "sharp", sharp)
    return expected


def _spoilt(i: int, image: np.ndarray[Any, Any], kind: int) -> tuple[str, dict[str, bytes]]:
    key, data = f"{i:05d}.png", encoded(image)
    return (
        ("NO_REFERENCE", {}),
        ("TWO_REFERENCES", {f"{i:05d}.tif": data, f"{i:05d}.jpg": data}),
        ("REFERENCE_SIZE", {key: encoded(image[:15])}),
        ("REFERENCE_BANDS", {key: encoded(image[..., 0])}),
        ("REFERENCE_UNREADABLE", {key: data[:-40]}),
    )[kind]


def _job(folder: Path, name: str) -> Job:
    dataset = {"name": "set", "uri": str(folder / "in"), "references": str(folder / "sharp")}
    return benchmark(
        "", folder / name, datasets=[dataset], degradations=[], restorers=["identity"], metrics=["psnr"],
        quarantine={"threshold": 1.0, "stop_share": 1.0},
    )  # fmt: skip


def _run(job: Job, dies_at: int = -1) -> None:
    if dies_at >= 0:
        die_at(dies_at, CALLS)
    plan_and_execute(job)
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.compact(opened)


def _count_writes(job: Job, note: Path) -> None:
    """An undisturbed run; notes its points: before and after each write."""
    counts = Counter[str]()
    for name in CALLS:
        original = getattr(os, name)

        def counted(*arguments: Any, original: Any = original, **options: Any) -> None:
            counts["calls"] += 1
            original(*arguments, **options)

        setattr(os, name, counted)
    _run(job)
    note.write_text(str(2 * counts["calls"]))


def _proved_rows(job: Job, folder: Path) -> list[dict[str, Any]]:
    """What the run left, proved whole; read in a fork, so that this process never starts a thread."""
    found = folder / "rows.pickle"

    def read() -> None:
        verification = run.verify(open_run(job))
        assert verification.is_whole, verification.problems
        found.write_bytes(pickle.dumps(lasting(metric_rows(job), also=("output_uri", "source_uri"))))

    assert in_fork(read) == 0
    rows: list[dict[str, Any]] = pickle.loads(found.read_bytes())
    return rows


if __name__ == "__main__":
    import pandas  # noqa: F401 - everything slow is imported once, before the forks
    import torch

    import pipeline.results.statistics
    import pipeline.results.tables
    import pipeline.results.verify
    import pipeline.worker.worker  # noqa: F401

    torch.set_num_threads(1)
    app()
