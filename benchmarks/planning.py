"""How long lists of images take to plan, and in how much memory: STAC, manifests, BIDS.

    python -m benchmarks.planning stac --images 100000
    python -m benchmarks.planning items --images 100000
    python -m benchmarks.planning geoparquet --images 100000
    python -m benchmarks.planning manifest --images 1000000
    python -m benchmarks.planning bids --images 100000

The lists are written first and not timed; the images that they name need not be there. ``stac`` is a static
catalogue of a file an item, in collections of 1,000. The peak is of the whole process, program included.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import run
from pipeline.jobs.job import Job

COLLECTION = 1000
BATCH = 100_000


def item(number: int) -> dict[str, Any]:
    west, south = number % 300 - 150.0, number % 120 - 60.0
    corners = [[west + x, south + y] for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
    assets = {
        band: {
            "href": f"./{band}.tif",
            "type": "image/tiff; application=geotiff",
            "roles": ["data"],
            "file:size": 123_456_789 + number,
            "file:checksum": f"1220{number:064x}",
        }
        for band in ("red", "green", "blue", "nir")
    }
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": f"S2A_{number:08d}",
        "collection": f"c{number // 1000}",
        "bbox": [west, south, west + 1, south + 1], "links": [], "assets": assets,
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"datetime": "2024-05-04T10:00:00Z", "platform": "sentinel-2a",
                       "eo:cloud_cover": number % 100},
    }  # fmt: skip


def write_stac(folder: Path, count: int) -> str:
    catalogue = {"type": "Catalog", "stac_version": "1.1.0", "id": "c", "links": []}
    for first in range(0, count, COLLECTION):
        below, links = folder / f"c{first // COLLECTION}", []
        for number in range(first, min(first + COLLECTION, count)):
            made = item(number)
            path = below / made["id"] / "item.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(made))
            links.append({"rel": "item", "href": f"./{made['id']}/item.json"})
        collection = {"type": "Collection", "id": below.name, "links": links}
        (below / "collection.json").write_text(json.dumps(catalogue | collection))
        catalogue["links"].append({"rel": "child", "href": f"./{below.name}/collection.json"})
    (folder / "catalog.json").write_text(json.dumps(catalogue))
    return "catalog.json"


def write_items(folder: Path, count: int) -> str:
    with (folder / "items.json").open("w") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number in range(count):
            file.write((", " if number else "") + json.dumps(item(number)))
        file.write('], "links": []}')
    return "items.json"


def write_geoparquet(folder: Path, count: int) -> str:
    def tables() -> Iterator[pa.Table]:
        for first in range(0, count, 10_000):
            rows = [item(number) for number in range(first, min(first + 10_000, count))]
            kept = ("id", "collection", "assets", "bbox")
            yield pa.Table.from_pylist([{k: row[k] for k in kept} | row["properties"] for row in rows])

    _write(folder / "items.parquet", tables())
    return "items.parquet"


def write_manifest(folder: Path, count: int) -> str:
    def tables() -> Iterator[pa.Table]:
        for first in range(0, count, BATCH):
            numbers = range(first, min(first + BATCH, count))
            uris = [f"s3://bucket/scans/{number // 1000:06d}/{number:09d}.tif" for number in numbers]
            etags = [f"{number:032x}" for number in numbers]
            # Below what may be a scene, whose header would have to be asked for.
            sizes = [300_000 + number % 1000 for number in numbers]
            yield pa.table({"uri": uris, "size": pa.array(sizes, pa.int64()), "etag": etags})

    _write(folder / "list.parquet", tables())
    return "list.parquet"


def write_bids(folder: Path, count: int) -> str:
    """Ten runs of a subject, with a sidecar each."""
    for number in range(count):
        sub = f"sub-{number // 10:05d}"
        path = folder / sub / "anat" / f"{sub}_run-{number % 10}_T1w"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".nii").touch()
        path.with_suffix(".json").write_text('{"EchoTime": 0.003}')
    (folder / "dataset_description.json").write_text('{"Name": "raw", "BIDSVersion": "1.10.0"}')
    return ""


def _write(path: Path, tables: Iterator[pa.Table]) -> None:
    first = next(tables)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


LISTS: dict[str, tuple[Callable[[Path, int], str], dict[str, Any]]] = {
    "stac": (write_stac, {"name": "stac", "assets": ["red", "nir"]}),
    "items": (write_items, {"name": "stac", "assets": ["red", "nir"]}),
    "geoparquet": (write_geoparquet, {"name": "stac", "assets": ["red", "nir"]}),
    "manifest": (write_manifest, {"name": "manifest"}),
    "bids": (write_bids, {"name": "bids", "suffixes": ["T1w"]}),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("list", choices=LISTS)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", help="where to write; a temporary folder by default")
    told = parser.parse_args()
    write, store = LISTS[told.list]
    with tempfile.TemporaryDirectory(dir=told.folder) as place:
        (Path(place) / "in").mkdir()
        name = write(Path(place) / "in", told.images)
        dataset = {"name": "list", "uri": f"{place}/in/{name}", "store": store, "private": False}
        job = Job.parse({"name": "plan", "kind": "restore", "output": f"{place}/out", "datasets": [dataset],
                         "restorers": ["median"]})  # fmt: skip
        options = run.Options(engine="local")
        with run.open_run(job, options) as opened:
            before = _peak()
            begin, cpu = time.perf_counter(), time.process_time()
            planned = run.plan(opened, options)
            seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        peak = _peak()
    print(f"{planned.left:,} of {told.images:,} images: {seconds:.1f} s ({cpu:.1f} s of a core), "
          f"peak {peak:,.0f} MB, {peak - before:,.0f} MB more than before")  # fmt: skip


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
