"""Kills small runs of every kind at every write to their store, runs them again, and proves them whole.

    python -m tests.crash_points FOLDER [--kinds restore scene ...] [--every N | --deaths N] [--store s3]

prints the number of points of each kind. With ``--every`` one point in so many is taken, another first one
for every kind; with ``--deaths`` so many of each kind, in another stretch of the run for every kind. Runs
seal their ledgers however small they are, so that segment and manifest are among the
points. The proof does not ask ``restora verify``: rows and objects are compared with those of an undisturbed
run. With ``--store s3`` all of it is at an endpoint on loopback.

Each run is a fork of a process that has everything imported, so that a point costs a second, not five.
"""

import argparse
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.results import one_file, tables
from tests.dying import count_calls, die_at, in_fork
from tests.helpers import (
    benchmark,
    encoded,
    fill,
    lasting,
    photograph,
    plan_and_execute,
    restore,
)
from tests.moto_s3 import new_bucket

SMALL = {"unit_images": 1}
STRIPS = {"scene_pixels": 4_000, "strip_samples": 1, "unit_images": 8}
LENIENT = {"threshold": 1.0, "stop_share": 1.0}


@dataclass(frozen=True)
class Kind:
    """A job over sources, what was done before, and what is killed."""

    job: Callable[[str, str], Job]
    work: Callable[[Job], None]
    before: Callable[[Job], None] = lambda job: None


def _execute(job: Job, **options) -> None:
    sealing.SEAL_AT, one_file.SHOWN_WHOLE = 1, 0
    plan_and_execute(job, **options)


def _compact(job: Job) -> None:
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.compact(opened)


def _whole(job: Job) -> None:
    _execute(job)
    _compact(job)


def _compact_in_parts(job: Job) -> None:
    """A table in parts, of which one goes: its unit is sealed with another."""
    sealing.SEAL_AT, tables.ONE_FILE_ROWS = 1, 0
    _compact(job)


def _grow(job: Job) -> None:
    _execute(job, limit=1)
    _compact_in_parts(job)
    _execute(job)


def _table_that_stands(job: Job) -> None:
    """A table in one file, to which a unit comes that is sealed alone."""
    sealing.SEAL_AT, one_file.SHOWN_WHOLE, sealing.MOST_UNITS = 1, 0, 1
    _execute(job, limit=1)
    _compact(job)
    _execute(job)


def _retry(job: Job) -> None:
    _execute(job, retry=True)
    _compact(job)


def _benchmark(sources: str, output: str) -> Job:
    return benchmark(
        f"{sources}/photographs", output, save="restored", resources=SMALL, restorers=["identity"]
    )


def _restore(sources: str, output: str) -> Job:
    return restore(f"{sources}/mixed", output, resources=SMALL, quarantine=LENIENT)


def _scene(sources: str, output: str) -> Job:
    return restore(f"{sources}/scene", output, resources=STRIPS)


def _private(sources: str, output: str) -> Job:
    dataset = {"name": "hospital", "uri": f"{sources}/photographs", "private": True}
    return restore("", output, datasets=[dataset], resources=SMALL)


KINDS: Mapping[str, Kind] = {
    "benchmark": Kind(_benchmark, _whole),
    "restore": Kind(_restore, _whole),
    "retry": Kind(_restore, _retry, before=_whole),
    "scene": Kind(_scene, _whole),
    "private": Kind(_private, _whole),
    "tables": Kind(_benchmark, _compact, before=_execute),
    "sections": Kind(_benchmark, _compact, before=_table_that_stands),
    "parts": Kind(_benchmark, _compact_in_parts, before=_grow),
}


def write_sources(place: str) -> None:
    """Photographs; one beside a file that is none; a scene in strips."""
    from tests.geotiff_samples import geotiff
    from tests.scene_samples import ground

    photographs = {f"{number}.png": encoded(photograph(number)) for number in range(2)}
    fill(f"{place}/photographs", photographs)
    fill(f"{place}/mixed", {"good.png": photographs["0.png"], "bad.png": photographs["1.png"][:50]})
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "DEFLATE"}
    fill(f"{place}/scene", {"scene.tif": geotiff(ground(1, "uint8", 700, 40), **tiled)})


def enumerate_points(kind: Kind, place: str, sources: str, every: int = 1, first: int = 0) -> int:
    """Runs undisturbed first, then dies at one point after the other until a run comes through; how many."""
    expected = _again(kind, kind.job(sources, f"{place}/undisturbed"), None)
    for point in range(first, 10_000, every):
        job = kind.job(sources, f"{place}/{point}")
        ended = in_fork(lambda job=job, point=point: _die(kind, job, point))
        if ended == 0:
            return point
        assert ended == -signal.SIGKILL, f"point {point}: ended by {ended}"
        assert _again(kind, job, kind.work) == expected, f"point {point}: other rows or objects"
    raise AssertionError("no run came through")


def die_at_some(kind: Kind, place: str, sources: str, deaths: int, stretch: float) -> int:
    """The same for so many points alone, spread evenly; ``stretch``, 0..1, shifts all of them between two."""
    counted, job = Path(os.environ["TMPDIR"], "points"), kind.job(sources, f"{place}/undisturbed")
    expected = _again(kind, job, None, counted)
    points = int(counted.read_text())
    for number in range(deaths):
        point = int((number + stretch) * points / deaths)
        job = kind.job(sources, f"{place}/{point}")
        ended = in_fork(lambda job=job, point=point: _die(kind, job, point))
        assert ended == -signal.SIGKILL, f"point {point}: ended by {ended}"
        assert _again(kind, job, kind.work) == expected, f"point {point}: other rows or objects"
    return points


def _die(kind: Kind, job: Job, point: int) -> None:
    kind.before(job)
    die_at(point, *_writes_of(job))
    kind.work(job)


def _writes_of(job: Job) -> tuple[tuple[str, ...], Any]:
    """What puts an object at its place, and takes it away, and whose functions they are."""
    if not job.output.startswith("s3:"):
        return ("replace", "link"), os
    from pipeline.storage.s3 import S3

    return ("put", "create", "delete", "delete_all"), S3


def _again(kind: Kind, job: Job, work: Callable[[Job], None] | None, points: Path | None = None) -> str:
    """Runs it (once more) and tells what is there then, in a fork: this process never starts a thread.

    ``points``: where to write how many points the work has.
    """
    found = Path(os.environ["TMPDIR"], "found")

    def run_and_prove() -> None:
        if work is None:
            kind.before(job)
        calls = count_calls(*_writes_of(job))
        kind.work(job)
        if points is not None:
            points.write_text(str(2 * calls.total()))
        found.write_text(repr(_proof(job)))

    assert in_fork(run_and_prove) == 0, f"{job.output}: does not go on"
    return found.read_text()


def _proof(job: Job) -> tuple[list[dict], list[tuple[str, str]]]:
    """The rows, and every object in the output that is no book of ours; nothing is left to do."""
    opened = open_run(job)
    rows = sorted(tables.read_metrics(opened).to_pylist(), key=lambda row: (row["key"], row["restorer"]))
    folder = opened.layout.folder
    keys = [entry.key for page in folder.pages() for entry in page]
    ours = [key for key in keys if key.startswith("objects/" if job.kind == "benchmark" else ("",))]
    objects = {
        key: hashlib.sha256(folder.read(key)).hexdigest() for key in ours if not key.startswith("_restora/")
    }
    named = {row["output_uri"]: row["output_sha256"] for row in rows if row["output_uri"]}
    assert {folder.uri(key): digest for key, digest in objects.items()} == named
    assert len({(row["dataset"], row["key"], row["restorer"]) for row in rows}) == len(rows)
    assert run.plan(opened, run.Options(engine="local")).left == 0
    volatile = ("output_uri", "output_sha256", "output_bytes", "message")
    return lasting(rows, also=volatile), sorted(objects.items())


def main() -> None:
    """Prints a line for each kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--deaths", type=int, default=0)
    parser.add_argument("--store", default="disk", choices=("disk", "s3"))
    chosen = parser.parse_args()
    os.environ["TMPDIR"] = chosen.folder
    make_key(Path(chosen.folder, "privacy.key"))
    os.environ[VARIABLE] = f"{chosen.folder}/privacy.key"
    with ExitStack() as stack:
        root = chosen.folder if chosen.store == "disk" else stack.enter_context(bucket_apart())
        _enumerate_all(chosen, root)


def _enumerate_all(chosen: argparse.Namespace, root: str) -> None:
    assert in_fork(lambda: write_sources(f"{root}/in")) == 0
    for number, name in enumerate(chosen.kinds):
        kind, places = KINDS[name], (f"{root}/{name}", f"{root}/in")
        if chosen.deaths:
            points = die_at_some(kind, *places, chosen.deaths, number / len(chosen.kinds))
        else:
            points = enumerate_points(kind, *places, chosen.every, number % chosen.every)
        print(f"{name} {points}", flush=True)


@contextmanager
def bucket_apart() -> Iterator[str]:
    """The URL of an empty one; the endpoint is another process, since this one must have no threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        _wait_for(port)
        named = Path(os.environ["TMPDIR"], "bucket")
        assert in_fork(lambda: named.write_text(new_bucket())) == 0
        yield named.read_text()
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError("the endpoint does not come up")


if __name__ == "__main__":
    import pandas  # noqa: F401 - everything slow is imported once, before the forks
    import rasterio  # noqa: F401
    import torch

    import pipeline.ledger.run_folder
    import pipeline.results.statistics
    import pipeline.results.tables
    import pipeline.worker.worker

    with suppress(ImportError):
        import pipeline.storage.s3  # noqa: F401

    torch.set_num_threads(1)
    main()
