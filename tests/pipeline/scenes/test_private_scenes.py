"""Scenes of private datasets in strips: the same pixels, and no byte of the run tells a name."""

import logging

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import run
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.storage.folder import Folder
from pipeline.worker import worker
from tests.canary import CANARY, hits
from tests.geotiff_samples import geotiff
from tests.helpers import complete, fill, metric_rows, restore
from tests.scene_samples import ground

SMALL = {"scene_pixels": 40_000, "strip_samples": 1, "unit_images": 8}
"""Scenes from 200 x 200 pixels on, in strips of 512 rows."""
NEVER = {"threshold": 1.0, "stop_share": 1.0}
NAME = f"{CANARY}^JOHN/{CANARY}-1.tif"


@pytest.fixture(autouse=True)
def key(tmp_path_factory, monkeypatch):
    path = tmp_path_factory.mktemp("key") / "privacy.key"
    make_key(path)
    monkeypatch.setenv(VARIABLE, str(path))


def slide(seed: int = 0, height: int = 1300) -> bytes:
    """A scan in three strips whose tags are canaries too."""

    def sign(dataset):
        dataset.update_tags(PATIENT=CANARY, TIFFTAG_ARTIST=CANARY)
        dataset.update_tags(1, ns=CANARY, STAIN=CANARY)
        dataset.descriptions = (CANARY,)

    samples = ground(1, "uint16", height, 90) + np.uint16(seed)
    return geotiff(samples, sign, tiled=True, blockxsize=128, blockysize=128, compress="DEFLATE")


def corrupt(data: bytes) -> bytes:
    """A tile in the middle of the file no longer decodes."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 600]) + data[middle + 600 :]


def job_on(tmp_path, output: str = "out", **fields):
    dataset = {"name": "hospital", "uri": str(tmp_path / "in" / CANARY), "private": True}
    chosen = {"datasets": [dataset], "resources": SMALL, "quarantine": NEVER, "metrics": ["sharpness"]}
    return restore("", tmp_path / output, **chosen | fields)


def archive(tmp_path, **files: bytes) -> Folder:
    return fill(tmp_path / "in" / CANARY, files)


def said(caplog, capfd, recwarn) -> list[str]:
    """All that was logged, printed or warned of."""
    warned = [str(each.message) for each in recwarn.list]
    return [each.getMessage() for each in caplog.records] + list(capfd.readouterr()) + warned


def test_strips_give_the_file_of_the_ordinary_way_and_tell_no_name(tmp_path, caplog, capfd, recwarn):
    archive(tmp_path, **{NAME: slide()})
    (whole,) = complete(job_on(tmp_path, "whole", resources=SMALL | {"scene_pixels": 10**6}))
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    job = job_on(tmp_path)
    options = run.Options(engine="local")
    planned = run.plan(open_run(job), options)
    assert hits(tmp_path / "out") == []
    folder = open_run(job).folder
    units = list(plan_files.read_units(folder))
    assert [unit.strip.rows for unit in units] == [(0, 256), (256, 768), (768, 1300)]
    assert not any(map(worker.Worker(open_run(job)), units[:2]))
    assert folder.keys("scenes", ".raw")
    assert hits(tmp_path / "out") == [], "blocks and rows of strips that wait to be assembled"
    run.execute(open_run(job), options, planned)
    run.compact(open_run(job))
    assert run.verify(open_run(job)).is_whole
    (row,) = metric_rows(job)
    same = ("key", "source_id", "output_sha256", "height", "width", "status", "source_uri", "message")
    assert {name: row[name] for name in same} == {name: whole[name] for name in same}
    assert row["sharpness"] == pytest.approx(whole["sharpness"])
    assert (row["status"], row["source_uri"], row["message"]) == ("ok", None, None)
    restored = Folder(job.output).read(row["output_uri"].rpartition("/")[2])
    assert CANARY.encode() in restored, "the object itself is still the patient's"
    assert hits(tmp_path / "out") == []
    assert not [each for each in said(caplog, capfd, recwarn) if CANARY in each]
    assert run.plan(open_run(job), options).left == 0


def test_scenes_that_fail_tell_no_name(tmp_path, caplog, capfd, recwarn):
    """A broken tile, another object than the one that was planned, one that cannot be read."""
    files = {
        f"{CANARY}-{name}.tif": slide(seed) for seed, name in enumerate(("broken", "changed", "gone", "shut"))
    }
    files[f"{CANARY}-broken.tif"] = corrupt(slide())
    source = archive(tmp_path, **files)
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    job = job_on(tmp_path)
    options = run.Options(engine="local")
    planned = run.plan(open_run(job), options)
    assert all(unit.strip is not None for unit in plan_files.read_units(open_run(job).folder))
    source.put(f"{CANARY}-changed.tif", slide(7))
    source.delete(f"{CANARY}-gone.tif")
    shut = tmp_path / "in" / CANARY / f"{CANARY}-shut.tif"
    shut.unlink()
    shut.symlink_to(shut)  # reading it fails with an error that names it
    run.execute(open_run(job), options, planned)
    run.compact(open_run(job))
    rows = metric_rows(job)
    assert sorted(row["reason"] for row in rows) == ["CHANGED", "NOT_FOUND", "READ_FAILED", "UNREADABLE"]
    assert {(row["status"], row["message"], row["source_uri"]) for row in rows} == {
        ("quarantined", None, None)
    }
    strips = [pq.read_table(path).to_pylist() for path in (tmp_path / "out").rglob("*-strips/*/*.parquet")]
    assert {row.get("message") for table in strips for row in table} == {None}
    assert "quarantined" in {row["status"] for table in strips for row in table}
    assert hits(tmp_path / "out") == []
    assert not [each for each in said(caplog, capfd, recwarn) if CANARY in each]


@pytest.mark.parametrize("seed", [0, 9])
def test_a_private_scene_is_known_by_what_was_listed_and_not_by_its_name(tmp_path, seed):
    """The plan holds no version of it; its identity does, also where its size stays."""
    source = archive(tmp_path, **{NAME: slide()})
    job = job_on(tmp_path)
    run.plan(open_run(job), run.Options(engine="local"))
    folder = open_run(job).folder
    source.put(NAME, slide(seed))  # even the same bytes are another version
    (first, *_) = plan_files.read_units(folder)
    assert first.sources[0].version == ""
    (row,) = worker.Worker(open_run(job)).process(first)
    assert row["reason"] == "CHANGED"
