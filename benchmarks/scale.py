"""What a run costs beside its images: ``python benchmarks/scale.py --images 10000 100000``.

A synthetic listing (a store that answers from arithmetic) and a synthetic ledger, both through the code that
every run goes through: planned, committed unit by unit, compacted, verified without objects, reported; then
1,000 images, or ``--new``, are added and all is done again; then nothing is new. Each stage is a process of
its own: seconds of the cores (with threads), memory that it added at its peak, requests to the run folder.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import run
from pipeline.ledger.lease import held
from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import RunFolder, open_run
from pipeline.ledger.sealing import each_once, replace_manifest, units_of, write_segments
from pipeline.planning.plan_files import UNITS, read_batches, read_units
from pipeline.privacy.naming import SourceLocator
from pipeline.results import verify
from pipeline.storage.disk import Disk
from pipeline.units import Source, Unit

OPTIONS = run.Options(engine="local")
PER_FOLDER = 1000
MEGABYTE = 1e6
WRITES = {"walk", "put", "create"}
DOLLARS_A_WRITE, DOLLARS_A_READ = 5e-6, 4e-7
"""S3's prices of a PUT or LIST and of a GET or HEAD, us-east-1, standard storage; deletions are free."""
MOST_FILES = 5000
"""Of units: more are written as segments at once."""


class Arithmetic(fsspec.AbstractFileSystem):
    """``synthetic://archive``: ``count`` objects, a thousand in a folder; none can be read."""

    protocol = "synthetic"
    count = 0

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        folder = path.rpartition("/")[2]
        if "/" not in path:
            names = [f"{path}/{index:07d}" for index in range(-(-self.count // PER_FOLDER))]
            return [{"name": name, "size": 0, "type": "directory"} for name in names]
        first = int(folder) * PER_FOLDER
        return [
            {
                "name": f"{path}/img_{i:09d}.png",
                "size": 300_000 + i % 1000,
                "type": "file",
                "ETag": f"{i:032x}",
            }
            for i in range(first, min(first + PER_FOLDER, self.count))
        ]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        raise FileNotFoundError(path)

    def cat_file(self, path: str, *_: Any, **__: Any) -> bytes:
        raise FileNotFoundError(path)


def job_of(folder: str) -> Any:
    from pipeline.jobs.job import Job

    return Job.parse(
        {
            "name": "scale",
            "output": f"{folder}/out",
            "datasets": [{"name": "archive", "uri": "synthetic://archive"}],
            "degradations": ["awgn-25"],
            "restorers": ["identity"],
            "metrics": ["psnr", "ssim"],
            "save": "none",
        }
    )


def planned(opened: RunFolder) -> Any:
    return vars(run.plan(opened, OPTIONS))


def commit_units(opened: RunFolder) -> Any:
    """Rows of every planned unit, as a worker commits them: not a stage of a run, but of this script."""
    if planned_units(opened) > MOST_FILES:
        return seal_units(opened)
    builder = RowBuilder(opened, SourceLocator(opened.job), "NVIDIA H100 80GB HBM3")
    rng = np.random.default_rng(1)
    ((degradation, restorer),) = opened.recipe.combinations
    count = 0
    for unit in read_units(opened.folder):
        scores = rng.normal(28, 3, len(unit.sources)).tolist()
        rows = [
            builder(source, unit, degradation, restorer)
            | CONSTANT
            | {
                "source_sha256": source.source_id * 2,
                "seed": int(source.source_id[:15], 16),
                "psnr": score,
                "psnr_degraded": score - 8 + 0.1 * (score - 28),
                "ssim": 1 / (1 + np.exp(-(score - 24) / 3)),
                "ssim_degraded": 1 / (1 + np.exp(-(score - 32) / 3)),
            }
            for source, score in zip(unit.sources, scores, strict=True)
        ]
        opened.ledger.commit(unit.unit_id, rows)
        count += 1
    return {"units": count}


def planned_units(opened: RunFolder) -> int:
    with opened.folder.open(UNITS) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def seal_units(opened: RunFolder) -> Any:
    """The same rows straight into segments, column by column: a million units' files would take an hour."""
    planned = pa.Table.from_batches(read_batches(opened.folder, UNITS, ["unit_id", "attempt", "sources"]))
    planned = planned.sort_by("unit_id").combine_chunks()
    parts = (units_of(rows_of(opened, part), 0) for part in sliced(planned, 1000))
    sealed = opened.ledger.sealed()
    written = write_segments(opened.ledger, sealed.place, each_once(chain.from_iterable(parts)))
    replace_manifest(opened.ledger, sealed, (*sealed.segments, *written), lambda: None)
    return {"units": len(planned)}


def sliced(table: pa.Table, length: int) -> Iterator[pa.Table]:
    for start in range(0, len(table), length):
        yield table.slice(start, length)


def rows_of(opened: RunFolder, units: pa.Table) -> Iterator[pa.Table]:
    """One table with the rows of these units, in their order."""
    lists = units["sources"].combine_chunks()
    sources, owner = lists.flatten(), pc.list_parent_indices(lists)
    count, rng = len(sources), np.random.default_rng(len(units))
    score = rng.normal(28, 3, count)
    unit = Unit(units["unit_id"][0].as_py(), 0, ())
    ((degradation, restorer),) = opened.recipe.combinations
    builder = RowBuilder(opened, SourceLocator(opened.job), "NVIDIA H100 80GB HBM3")
    first = Source(**sources[0].as_py())
    constant = builder(first, unit, degradation, restorer) | CONSTANT
    columns: dict[str, Any] = {name: pa.repeat(pa.scalar(v), count) for name, v in constant.items()}
    ids = sources.field("source_id")
    columns |= {name: sources.field(name) for name in ("dataset", "key", "source_id")}
    columns["source_uri"] = pc.binary_join_element_wise("synthetic://archive", columns["key"], "/")
    columns |= {
        "unit_id": units["unit_id"].combine_chunks().take(owner),
        "source_bytes": sources.field("size"),
    }
    columns |= {"source_sha256": pc.binary_join_element_wise(ids, ids, "")}
    columns |= {"psnr": score, "psnr_degraded": score - 8 + 0.1 * (score - 28)}
    columns |= {
        "ssim": 1 / (1 + np.exp(-(score - 24) / 3)),
        "ssim_degraded": 1 / (1 + np.exp(-(score - 32) / 3)),
    }
    columns["seed"] = rng.integers(0, 1 << 62, count)
    schema = opened.ledger.schema
    empty = {name: pa.nulls(count, schema.field(name).type) for name in schema.names}
    yield (
        pa.table({**empty, **{k: v for k, v in columns.items() if k in empty}})
        .select(schema.names)
        .cast(schema)
    )


CONSTANT = {
    "height": 512,
    "width": 512,
    "channels": 3,
    "dtype": "uint8",
    "data_low": 0.0,
    "data_high": 255.0,
    "data_range_rule": "dtype",
    "degradation_params": '[{"op": "gaussian_noise", "noise_level": 0.0980392156862745}]',
    "condition": '{"noise_level": "given"}',
    "status": "ok",
    "clipped_pixels": 7,
    "seconds": 0.01,
}


def committed(opened: RunFolder) -> Any:
    return {"done": len(opened.ledger.committed().done)}


def tables(opened: RunFolder) -> Any:
    return vars(run.compact(opened))


def verified(opened: RunFolder) -> Any:
    found = verify.verify(opened, since=datetime.now(UTC))
    assert found.is_whole, found.problems
    return {"sources": found.sources}


def reported(opened: RunFolder) -> Any:
    return {"at": run.report(opened)}


def unchanged(opened: RunFolder) -> Any:
    """The same command once more: planned, and found to be finished."""
    plan = run.plan(opened, OPTIONS)
    table = run.compact(opened) if run.finished(opened, plan) is None else None
    return {"left": plan.left, "finished": table is None}


def concluded(opened: RunFolder) -> Any:
    """What a run notes at its end, out of what the stages before it wrote; not measured in a run's table."""
    table = run.compact(opened)
    run.conclude(opened, table, verify.verify(opened, since=datetime.now(UTC)), run.report(opened))
    return {}


FIRST: dict[str, Callable[[RunFolder], Any]] = {
    "plan": planned,
    "(commit)": commit_units,
    "committed": committed,
    "tables": tables,
    "verify": verified,
    "report": reported,
}
STAGES = {
    **FIRST,
    **{f"{name}, some new": stage for name, stage in FIRST.items()},
    "(conclude)": concluded,
    "nothing new": unchanged,
}


def main() -> None:
    chosen = arguments()
    if chosen.stage:
        print(json.dumps(measured(chosen.stage, chosen.folder, chosen.images[0])))
        return
    results = [(count, list(run_stages(count, chosen.new, chosen.scratch))) for count in chosen.images]
    print("| stage |", *(f"{count:,} images |" for count, _ in results), "exponent |")
    print("| --- |", *("--- |" for _ in results), "--- |")
    for index, name in enumerate(STAGES):
        row = [(count, rows[index]) for count, rows in results]
        print(f"| {name} |", *(f"{shown(each)} |" for _, each in row), f"{exponent(row)} |")


def shown(result: dict[str, Any]) -> str:
    said = f"{result['cpu']:.1f} s, {result['added_mb']:.0f} MB, {result['requests']:,}"
    return f"{said}, ${result['dollars']:.4f}"


def exponent(row: list[tuple[int, dict[str, Any]]]) -> str:
    """Of the seconds of the cores, between the first count of images and the last."""
    (few, first), (many, last) = row[0], row[-1]
    if few == many or not first["cpu"]:
        return ""
    return f"{np.log(last['cpu'] / first['cpu']) / np.log(many / few):.2f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000])
    parser.add_argument("--new", type=int, default=1000, help="how many images are added")
    parser.add_argument("--scratch", help="where the run folders go; some 20 kB an image in 32 are needed")
    parser.add_argument("--stage", choices=STAGES, help="one stage alone, in --folder: what the script calls")
    parser.add_argument("--folder")
    return parser.parse_args()


def run_stages(count: int, new: int, scratch: str | None) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="restora-scale-", dir=scratch) as folder:
        for name in STAGES:
            images = count + new if "new" in name or name == "(conclude)" else count
            command = [sys.executable, __file__, "--stage", name, "--folder", folder, "--images", str(images)]
            path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            result = json.loads(ended.stdout.splitlines()[-1])
            print(f"{count:>9,} {name:20} {shown(result)}  {result['said']}", file=sys.stderr, flush=True)
            yield result


def measured(name: str, folder: str, images: int) -> dict[str, Any]:
    fsspec.register_implementation("synthetic", Arithmetic)
    Arithmetic.count = images
    opened = open_run(job_of(folder))
    assert opened.recipe is not None  # built before the clock starts
    import pipeline.planning.plan
    import pipeline.report.write
    import pipeline.results.statistics  # noqa: F401

    requests = count_requests(opened.folder.root)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before, wall, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    with held(opened.folder) as opened.lease:
        said = STAGES[name](opened)
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "added_mb": (memory("VmHWM") - before) / MEGABYTE,
        "requests": requests.total(),
        "dollars": dollars(requests),
        "by_kind": dict(requests),
        "said": said,
    }


def count_requests(root: str) -> Counter[str]:
    """Counts what is asked of the run folder from now on; a listing and an opened file count once."""
    calls: Counter[str] = Counter()

    def counted(method: str) -> Callable[..., Any]:
        original = getattr(Disk, method)

        def call(self: Disk, *arguments: Any) -> Any:
            calls[method] += self.root.startswith(root)  # files of this machine are no requests
            return original(self, *arguments)

        return call

    for method in ("walk", "fetch", "open", "entry", "exists", "put", "create", "delete"):
        setattr(Disk, method, counted(method))
    return calls


def dollars(requests: Counter[str]) -> float:
    """What they would cost at S3."""
    writes = sum(count for name, count in requests.items() if name in WRITES)
    reads = requests.total() - writes - requests["delete"]
    return writes * DOLLARS_A_WRITE + reads * DOLLARS_A_READ


def memory(field: str) -> int:
    """Bytes, from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
