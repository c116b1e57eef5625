"""Pairs, proved: ``python -m benchmarks.pairs set5 DATA`` and ``python -m benchmarks.pairs deaths``.

set5: the files of low and of high resolution of Set5 as found pairs, against the same pixels degraded here.
deaths: pairs of which some have faulty partners, killed at writes that are spread over the whole run, to the
disk or (``--store s3``) to an S3 endpoint on loopback, run again, and compared with an undisturbed run:
nothing lost, nothing doubled, every reason as it was.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.results.tables import read_metrics
from pipeline.storage.s3 import S3
from tests.crash_points import bucket_apart
from tests.dying import count_calls, die_at, in_fork
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
CALLS: dict[str, tuple[tuple[str, ...], Any]] = {
    "disk": (("replace", "link"), os),
    "s3": (("put", "create", "delete", "delete_all"), S3),
}
"""What puts an object at its place, and takes it away, in either store; and whose functions they are."""
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
def deaths(pairs: int = 1000, faulty: int = 20, points: int = 40, store: str = "disk") -> None:
    """Kills the run at so many of its writes, one after the other; each time it is run again and compared."""
    with ExitStack() as stack:
        folder, begun = Path(stack.enter_context(tempfile.TemporaryDirectory())), time.monotonic()
        os.environ["TMPDIR"] = str(folder)
        root = str(folder) if store == "disk" else stack.enter_context(bucket_apart())
        expected = _expected(pairs, faulty)
        assert in_fork(lambda: _write(root, pairs, faulty)) == 0
        whole = _job(root, "whole")
        assert in_fork(lambda: _count_writes(whole, folder / "points", store)) == 0
        rows = _proved_rows(whole, folder)
        reasons = Counter(row["reason"] for row in rows if row["reason"])
        assert len(rows) == pairs, len(rows)
        assert reasons == expected, (reasons, expected)
        last = int((folder / "points").read_text())
        tried = np.unique(np.linspace(0, last - 1, points).astype(int)).tolist()
        for point in tried:
            job = _job(root, f"dead-{point}")
            ended = in_fork(lambda job=job, point=point: _run(job, point, store))  # type: ignore[misc]
            assert ended == -signal.SIGKILL, (point, ended)
            assert in_fork(lambda job=job: _run(job)) == 0, point  # type: ignore[misc]
            assert _proved_rows(job, folder) == rows, f"point {point}: other rows than an undisturbed run"
        seconds = time.monotonic() - begun
        print(f"{store}: {pairs} pairs, {dict(reasons)}: {last} points, {len(tried)} kills, {seconds:.0f} s")


def _faults(pairs: int, faulty: int) -> dict[int, int]:
    """Number of a pair -> which fault its reference has."""
    return {i: order % 5 for order, i in enumerate(list(range(0, pairs, pairs // faulty))[:faulty])}


def _expected(pairs: int, faulty: int) -> Counter[str]:
    """How often each reason is to be expected."""
    image = photograph(0, 16, 16)
    return Counter(_spoilt(i, image, kind)[0] for i, kind in _faults(pairs, faulty).items())


def _write(root: str, pairs: int, faulty: int) -> None:
    faults = _faults(pairs, faulty)
    photographs = [photograph(i, 16, 16) for i in range(8)]
    for i in range(pairs):
        image = photographs[i % 8]
        fill(f"{root}/in", {f"{i:05d}.png": encoded(image)})
        sharp = {f"{i:05d}.png": encoded(image)}
        if i in faults:
            _, sharp = _spoilt(i, image, faults[i])
        fill(f"{root}/sharp", sharp)


def _spoilt(i: int, image: np.ndarray[Any, Any], kind: int) -> tuple[str, dict[str, bytes]]:
    key, data = f"{i:05d}.png", encoded(image)
    return (
        ("NO_REFERENCE", {}),
        ("TWO_REFERENCES", {f"{i:05d}.tif": data, f"{i:05d}.jpg": data}),
        ("REFERENCE_SIZE", {key: encoded(image[:15])}),
        ("REFERENCE_BANDS", {key: encoded(image[..., 0])}),
        ("REFERENCE_UNREADABLE", {key: data[:-40]}),
    )[kind]


def _job(root: str, name: str) -> Job:
    dataset = {"name": "set", "uri": f"{root}/in", "references": f"{root}/sharp"}
    return benchmark(
        "", f"{root}/{name}", datasets=[dataset], degradations=[], restorers=["identity"], metrics=["psnr"],
        quarantine={"threshold": 1.0, "stop_share": 1.0},
    )  # fmt: skip


def _run(job: Job, dies_at: int = -1, store: str = "disk") -> None:
    if dies_at >= 0:
        names, owner = CALLS[store]
        die_at(dies_at, names, owner)
    plan_and_execute(job)
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.compact(opened)


def _count_writes(job: Job, note: Path, store: str) -> None:
    """An undisturbed run; notes its points: before and after each write."""
    counts = count_calls(*CALLS[store])
    _run(job)
    note.write_text(str(2 * counts.total()))


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
