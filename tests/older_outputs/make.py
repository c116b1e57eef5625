"""Writes outputs.tar.gz: small outputs of every kind, all of them interrupted, on a loopback S3 endpoint.

Run from a checkout of commit 796f759 (the last one before the code was ordered into stations), with this
file and its folder copied into its tests/:

    python -m tests.older_outputs.make

Addresses of objects decide their identity, so the outputs lie in buckets: these are the same everywhere.
"""

import io
import itertools
import json
import os
import tarfile
import tempfile
from pathlib import Path

import s3fs
from pipeline.books import open_for
from pipeline.plan import units

from pipeline import run
from pipeline.errors import RunStopped
from pipeline.storage import Folder
from pipeline.training.loop import Loop
from pipeline.training.recipe import TrainingRecipe
from pipeline.training.world import World
from pipeline.worker import Worker
from tests.geotiff_samples import geotiff
from tests.helpers import benchmark, photographs_in, plan_and_execute, restore
from tests.moto_s3 import running_s3
from tests.scene_samples import ground, holes

HERE = Path(__file__).parent
KEY = bytes(range(32)).hex()
"""Of the private dataset; it hides photographs that everybody knows."""
TRAINING, GAN = (json.loads((HERE / f"{name}.json").read_text()) for name in ("training", "gan"))


def jobs() -> dict:
    """Output -> the job of a run that did two of four images."""
    private = [{"name": "photos", "uri": "s3://before/photos", "private": True}]
    return {
        "benchmark": benchmark("s3://before/photos", "s3://before/benchmark", save="all"),
        "restore": restore("s3://before/photos", "s3://before/restore", metrics=["consistency"]),
        "private": restore("s3://before/photos", "s3://before/private", datasets=private),
    }


def scene_job():
    """One scene of three strips."""
    resources = {"scene_pixels": 40_000, "strip_samples": 1}
    return restore("s3://before/scenes", "s3://before/strips", metrics=["sharpness"], resources=resources)


def interrupted_training(fields: dict, output: str) -> None:
    """Three of six steps."""
    asked = itertools.count(1)
    try:
        Loop(
            TrainingRecipe.parse(fields),
            Folder(output),
            World(0, 1),
            lambda _: None,
            lambda: next(asked) >= 3,
        )()
    except RunStopped as stopped:
        print(stopped)


def main() -> None:
    s3fs.S3FileSystem().mkdir("before")
    photographs_in("s3://before/photos", 4)
    for job in jobs().values():
        plan_and_execute(job, limit=2)
        run.compact(job)
        run.verify(job)
        run.report(job)
    Folder("s3://before/scenes").put(
        "scene.tif", geotiff(holes(ground(1, "uint16", 1300, 90), 0), nodata=0, tiled=True, blockxsize=128,
                             blockysize=128, compress="DEFLATE"))  # fmt: skip
    job = scene_job()
    run.plan(job, run.Options(engine="local"))
    books = open_for(job).folder
    worker = Worker(job, books)
    for unit in list(units(books))[:2]:
        worker(unit)
    interrupted_training(TRAINING, "s3://before/training")
    interrupted_training(GAN, "s3://before/gan")
    with tarfile.open(HERE / "outputs.tar.gz", "w:gz") as archive:
        for page in Folder("s3://before").pages():
            for entry in page:
                if "/report" in entry.key or "/samples/" in entry.key:
                    continue
                data = Folder("s3://before").read(entry.key)
                info = tarfile.TarInfo(entry.key)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    with running_s3() as environment, tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "privacy.key")
        key.write_text(KEY + "\n", encoding="ascii")
        os.environ.update(environment | {"RESTORA_PRIVACY_KEY_FILE": str(key)})
        main()
