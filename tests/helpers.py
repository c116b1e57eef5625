"""Makers of collections and jobs, and the whole run in one call. Images are photographs."""

import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image as Pillow
from skimage import data as photographs

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import RunFolder, open_run
from pipeline.ledger.schema import Row
from pipeline.privacy.naming import SourceLocator
from pipeline.results.tables import METRIC_TABLE, TableSummary
from pipeline.storage.base import Entry
from pipeline.storage.folder import Folder
from pipeline.units import Source


@cache
def _photographs() -> list[np.ndarray]:
    return [photographs.astronaut(), photographs.coffee(), photographs.chelsea(), photographs.rocket()]


def photograph(index: int, height: int = 32, width: int = 40) -> np.ndarray:
    """A crop of a real photograph, uint8 HWC; another one for every index."""
    whole = _photographs()[index % 4]
    rng = np.random.default_rng(index)
    top, left = rng.integers(0, whole.shape[0] - height), rng.integers(0, whole.shape[1] - width)
    return np.ascontiguousarray(whole[top : top + height, left : left + width])


def encoded(samples: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """The samples as a file."""
    file = io.BytesIO()
    Pillow.fromarray(samples).save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    """The samples of a file, read by Pillow."""
    return np.asarray(Pillow.open(io.BytesIO(data)))


def fill(url: str | Path, files: dict[str, bytes]) -> Folder:
    """A folder with these objects in it."""
    folder = Folder(str(url))
    for key, data in files.items():
        folder.put(key, data)
    return folder


def photographs_in(url: str | Path, count: int, height: int = 32, width: int = 40, first: int = 0) -> Folder:
    """A folder of ``count`` PNG photographs."""
    files = {f"{i:04d}.png": encoded(photograph(i, height, width)) for i in range(first, first + count)}
    return fill(url, files)


def benchmark(source: str | Path, output: str | Path, **fields) -> Job:
    """A small benchmark job: noise, two cheap restorers, two metrics."""
    defaults = {
        "name": "test",
        "output": str(output),
        "datasets": [{"name": "photos", "uri": str(source)}],
        "degradations": ["awgn-25"],
        "restorers": ["identity", "median"],
        "metrics": ["psnr", "mae"],
    }
    return Job.parse(defaults | fields)


def restore(source: str | Path, output: str | Path, **fields) -> Job:
    """A job that restores a folder as it is."""
    defaults = {
        "name": "test",
        "kind": "restore",
        "output": str(output),
        "datasets": [{"name": "photos", "uri": str(source)}],
        "restorers": ["median"],
    }
    return Job.parse(defaults | fields)


def source_of(dataset: str, folder: Folder, entry: Entry) -> Source:
    """A listed object as a source of a dataset of this name."""
    job = restore(folder.url, folder.url + "-out", datasets=[{"name": dataset, "uri": folder.url}])
    return SourceLocator(job).identify(dataset, entry)


def commit(opened: RunFolder, rows: Iterable[Row]) -> None:
    """The ledger of a run holds these rows, one unit, and no others."""
    for key in list(opened.ledger.keys()):
        opened.folder.delete(key)
    if rows := list(rows):
        opened.ledger.commit("c" * 32, rows)


def plan_and_execute(job: Job, **options) -> tuple:
    """What planning and executing on the local engine say."""
    chosen = run.Options(engine="local", **options)
    with run.open_run(job, chosen) as opened:
        planned = run.plan(opened, chosen)
        return planned, run.execute(opened, chosen, planned)


def complete(job: Job, **options) -> list[dict]:
    """Runs to the end, proves it whole, returns the rows of the metric table."""
    plan_and_execute(job, **options)
    run.compact(open_run(job))
    verification = run.verify(open_run(job))
    assert verification.is_whole, verification.problems
    return metric_rows(job)


def finished(job: Job) -> tuple[RunFolder, TableSummary]:
    """Its run folder after a run that proved whole, with its page, and what its tables count."""
    options = run.Options(engine="local")
    with run.open_run(job, options) as opened:
        run.execute(opened, options, run.plan(opened, options))
        counted = run.compact(opened)
        verification = run.verify(opened)
        assert verification.is_whole, verification.problems
        run.report(opened)
    return open_run(job), counted


def metric_rows(job: Job) -> list[dict]:
    """The rows of ``tables/metrics.parquet``, in order of key: the table's own order is that of its units."""
    folder = open_run(job).folder
    rows = pq.read_table(io.BytesIO(folder.read(METRIC_TABLE))).to_pylist()
    return sorted(rows, key=lambda row: (row["dataset"], row["key"], row["degradation"], row["restorer"]))


VOLATILE = {"seconds", "finished_at", "host", "device", "code_version", "unit_id", "source_id", "attempt"}
"""Columns that say when, where and in which company an image was done."""


def lasting(rows: list[dict], also: tuple[str, ...] = ()) -> list[dict]:
    """The rows in a fixed order, without what may differ from run to run."""
    dropped = VOLATILE | set(also)
    kept = [{name: value for name, value in row.items() if name not in dropped} for row in rows]
    return sorted(kept, key=lambda row: (row["dataset"], row["key"], row["degradation"], row["restorer"]))


def folder_of_somebody(place: Path) -> Path:
    """A project of someone else's, with modules called as ours are, never to be imported."""
    for name in ("models", "pipeline"):
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").write_text("raise ImportError('not ours')\n")
    (place / "flows.py").write_text("raise ImportError('not ours')\n")
    return place
