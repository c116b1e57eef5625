"""Thumbnails as objects of their own and in tar shards: requests and images/s of both, in one run.

    python -m benchmarks.shards --images 20000 --shard 1000

The store is an S3 endpoint on loopback (moto, in a process of its own that counts requests), the restorer is
the median, the engine is the local one. The images are written by this run and are gone with the endpoint.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
from PIL import Image

SIDE = 64


def serve(pipe: Connection) -> None:
    """The endpoint: says where it is, then answers every message with the requests so far."""
    from moto.server import ThreadedMotoServer
    from werkzeug.serving import WSGIRequestHandler

    counts: Counter[str] = Counter()
    WSGIRequestHandler.log_request = lambda self, *_: counts.update([self.command])  # type: ignore[method-assign]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    pipe.send("http://{}:{}".format(*server.get_host_and_port()))
    while pipe.recv():
        pipe.send(dict(counts))
        counts.clear()


def thumbnails(count: int) -> list[bytes]:
    """PNG files of smooth noise, all different."""
    rng, files = np.random.default_rng(0), []
    for _ in range(count):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        buffer = io.BytesIO()
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


def shard(files: list[bytes], first: int) -> bytes:
    """A tar file of these images."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for index, data in enumerate(files):
            info = tarfile.TarInfo(f"{first + index:08d}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def measure(
    store: str, bucket: str, images: int, requests: Callable[[], dict[str, int]]
) -> dict[str, object]:
    """Plans and executes one restore run."""
    from pipeline import run
    from pipeline.jobs.job import Job

    source = {"name": store, "uri": f"{bucket}/{store}", "store": store}
    job = Job.parse(
        {
            "name": store,
            "kind": "restore",
            "output": f"{bucket}/{store}-out",
            "datasets": [source],
            "restorers": ["median"],
        }
    )
    options = run.Options(engine="local")
    requests()
    started = time.perf_counter()
    with run.open_run(job, options) as opened:
        planned = run.plan(opened, options)
        planning = time.perf_counter() - started
        asked = requests()
        progress = run.execute(opened, options, planned)
    seconds = time.perf_counter() - started
    assert (progress.images, progress.quarantined) == (images, 0), progress
    return {
        "store": store,
        "images": images,
        "planning_s": round(planning, 1),
        "planning_requests": sum(asked.values()),
        "executing_requests": requests(),
        "images_per_s": round(images / seconds, 1),
    }


def main() -> None:
    """Prints a line of JSON for each way of keeping the same images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--shard", type=int, default=1000)
    chosen = parser.parse_args()
    pipe, other = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(other,), daemon=True)
    server.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": pipe.recv(),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def requests() -> dict[str, int]:
        pipe.send(True)
        counted: dict[str, int] = pipe.recv()
        return counted

    import s3fs

    from pipeline.storage.folder import Folder

    s3fs.S3FileSystem().mkdir("thumbnails")
    bucket, files = "s3://thumbnails", thumbnails(chosen.images)
    for first in range(0, len(files), chosen.shard):
        some = files[first : first + chosen.shard]
        Folder(f"{bucket}/tar").put(f"{first:08d}.tar", shard(some, first))
        for index, data in enumerate(some):
            Folder(f"{bucket}/folder").put(f"{first + index:08d}.png", data)
    for store in ("tar", "folder"):
        print(json.dumps(measure(store, bucket, len(files), requests)), flush=True)
    pipe.send(False)
    server.join(10)


if __name__ == "__main__":
    main()
