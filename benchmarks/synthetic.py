"""A synthetic archive and a synthetic ledger, through the code that every run goes through.

The store answers from arithmetic, and no image is restored; what is planned is committed with drawn scores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import run
from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.sealing import each_once, replace_manifest, units_of, write_segments
from pipeline.planning.plan_files import UNITS, read_batches, read_units
from pipeline.privacy.naming import SourceLocator
from pipeline.units import Source, Unit

OPTIONS = run.Options(engine="local")
PER_FOLDER = 1000
Altered = Callable[[dict[str, Any]], dict[str, Any]]


class Arithmetic(fsspec.AbstractFileSystem):
    """``synthetic://archive``: ``count`` objects, a thousand in a folder; none can be read."""

    protocol = "synthetic"
    count = 0
    cpu = 0.0
    """Seconds of the cores that answering took in this process: what no store of others would take here."""

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        began = time.thread_time()
        try:
            return self._listed(path)
        finally:
            Arithmetic.cpu += time.thread_time() - began

    def _listed(self, path: str) -> list[Any]:
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


def commit_units(opened: RunFolder, most_files: int = 5000, altered: Altered = lambda row: row) -> Any:
    """Rows of every planned unit, as a worker commits them: not a stage of a run, but of a benchmark.

    More units than ``most_files`` are written as segments at once; ``altered`` changes a row before.
    """
    if planned_units(opened) > most_files:
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
        opened.ledger.commit(unit.unit_id, list(map(altered, rows)))
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
