"""The worker: every bad image a row with its reason, every other one done; nothing lost on a full disk."""

import dataclasses
import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.doors.outlet import FolderOutlet
from pipeline.errors import RunStopped
from pipeline.ledger.attempts import ATTEMPTS, Attempts
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan, plan_files
from pipeline.processing.processor import Processor
from pipeline.storage.folder import Folder
from pipeline.worker.worker import Worker
from tests.bad_images import BAD, ODD_BUT_GOOD, PHOTO
from tests.helpers import (
    benchmark,
    complete,
    decoded,
    encoded,
    fill,
    lasting,
    photograph,
    photographs_in,
    plan_and_execute,
    restore,
)

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Everything bad and everything odd, in one folder."""
    files = {f"bad/{name}": data for name, (data, _) in BAD.items()}
    files |= {f"odd/{name}": data for name, data in ODD_BUT_GOOD.items()}
    return fill(tmp_path_factory.mktemp("zoo"), files)


def test_every_bad_image_is_a_row_with_its_reason_and_all_others_are_ok(zoo, tmp_path):
    job = benchmark(zoo.url, tmp_path / "out", quarantine=ANY_SHARE, output_format="tiff", save="all")
    rows = complete(job)
    assert len(rows) == 2 * (len(BAD) + len(ODD_BUT_GOOD))
    found = {row["key"]: (row["status"], row["reason"]) for row in rows}
    expected = {f"bad/{name}": ("quarantined", reason) for name, (_, reason) in BAD.items()}
    expected |= {f"odd/{name}": ("ok", None) for name in ODD_BUT_GOOD}
    assert found == expected
    for row in rows:
        assert row["source_bytes"] == len(zoo.read(row["key"]))
        assert (row["output_uri"] is None) == (row["status"] != "ok")
        assert row["stage"] == (
            None if row["status"] == "ok" else "fetch" if row["reason"] == "EMPTY" else "decode"
        )


def test_every_odd_image_is_restored_in_its_own_format(zoo, tmp_path):
    odd = [{"name": "odd", "uri": zoo.uri("odd")}]
    rows = complete(restore("", tmp_path / "out", datasets=odd, restorers=["identity"], quarantine=ANY_SHARE))
    assert {(row["key"], row["status"], row["reason"]) for row in rows} == {
        (name, "ok", None) for name in ODD_BUT_GOOD
    }
    assert np.array_equal(decoded((tmp_path / "out" / "interlaced.png").read_bytes()), PHOTO)
    for name in ODD_BUT_GOOD:
        assert (tmp_path / "out" / name).read_bytes()[:2] == ODD_BUT_GOOD[name][:2], "the same kind of file"


def test_awkward_keys_are_done_and_stay_in_their_place(tmp_path):
    keys = [
        "with space.png",
        "_leading.png",
        "d\u00e9j\u00e0/\u5199\u771f.png",
        "deep/_restora/evil.png",
        "%5Frestora/x.png",
    ]
    folder = fill(tmp_path / "in", {key: encoded(photograph(i)) for i, key in enumerate(keys)})
    folder.put("_restora/plan/sources.parquet", b"the files of an earlier run are no image")
    rows = complete(restore(folder.url, tmp_path / "out", restorers=["identity"]))
    assert sorted(row["key"] for row in rows) == sorted(keys)
    for row in rows:
        path = row["output_uri"]
        assert os.path.realpath(path).startswith(f"{tmp_path}/out/")
        assert not path.startswith(f"{tmp_path}/out/_restora/")
        assert np.array_equal(decoded(Path(path).read_bytes()), decoded(folder.read(row["key"])))


def test_two_datasets_with_the_same_keys_keep_apart(tmp_path):
    photographs_in(tmp_path / "one", 3)
    photographs_in(tmp_path / "two", 4)
    fill(tmp_path / "two", {"0000.png": encoded(photograph(99))})
    sets = [{"name": name, "uri": str(tmp_path / name)} for name in ("one", "two")]
    rows = complete(benchmark("", tmp_path / "out", datasets=sets, save="all", restorers=["identity"]))
    assert [(row["dataset"], row["key"]) for row in lasting(rows)] == [
        *(("one", f"000{i}.png") for i in range(3)),
        *(("two", f"000{i}.png") for i in range(4)),
    ]
    assert len({row["output_uri"] for row in rows}) == len({row["seed"] for row in rows}) == 7
    merged = complete(restore("", tmp_path / "merged", datasets=sets))
    assert len({row["output_uri"] for row in merged}) == 7


def test_a_source_that_changes_or_goes_after_the_listing_is_a_row_and_then_done(tmp_path):
    folder = photographs_in(tmp_path / "in", 4)
    job = benchmark(folder.url, tmp_path / "out", quarantine=ANY_SHARE, restorers=["identity"])
    opened = open_run(job)
    plan.make_plan(opened, workers=1)
    folder.put("0001.png", encoded(photograph(50, 40, 40)))
    folder.delete("0002.png")
    worker = Worker(open_run(job))
    rows = [row for unit in plan_files.read_units(opened.folder) for row in worker(unit)]
    assert {row["key"]: row["reason"] for row in rows if row["status"] != "ok"} == {
        "0001.png": "CHANGED",
        "0002.png": "NOT_FOUND",
    }
    assert {row["stage"] for row in rows if row["status"] != "ok"} == {"fetch"}
    after = complete(job)
    assert {row["key"]: row["status"] for row in after} == dict.fromkeys(
        ("0000.png", "0001.png", "0003.png"), "ok"
    )


def test_a_committed_unit_is_not_done_again(tmp_path):
    photographs_in(tmp_path / "in", 3)
    job = benchmark(tmp_path / "in", tmp_path / "out", save="restored")
    opened = open_run(job)
    plan.make_plan(opened, workers=1)
    unit = next(plan_files.read_units(opened.folder))
    first = Worker(open_run(job))(unit)
    objects = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "objects").rglob("*.png")}
    again = Worker(open_run(job))(unit)
    assert [row["finished_at"] for row in again] == [row["finished_at"] for row in first]
    assert {path: path.stat().st_mtime_ns for path in objects} == objects
    Attempts(opened.folder).forget_all()
    assert opened.folder.keys(ATTEMPTS) == []


def test_rows_do_not_depend_on_how_units_are_cut(tmp_path):
    photographs_in(tmp_path / "in", 9)
    tables = [
        complete(benchmark(tmp_path / "in", tmp_path / f"out{size}", resources={"unit_images": size}))
        for size in (1, 4, 9)
    ]
    assert lasting(tables[0]) == lasting(tables[1]) == lasting(tables[2])


class FullFolder(Folder):
    """A store that takes no more images."""

    def put(self, key: str, data: bytes) -> None:
        if key.endswith(".png"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().put(key, data)


def test_objects_that_cannot_be_written_are_rows_and_a_retry_writes_them(tmp_path):
    photographs_in(tmp_path / "in", 3)
    job = benchmark(tmp_path / "in", tmp_path / "out", save="restored", restorers=["identity"])
    opened = open_run(job)
    plan.make_plan(opened, workers=1)
    worker = Worker(open_run(job))
    worker.layout = dataclasses.replace(worker.layout, outlet=FolderOutlet(FullFolder(job.output)))
    rows = [row for unit in plan_files.read_units(opened.folder) for row in worker(unit)]
    assert {(row["reason"], row["stage"], row.get("output_uri")) for row in rows} == {
        ("WRITE_FAILED", "write", None)
    }
    assert "No space left" in rows[0]["message"]
    assert all(row["psnr"] is not None for row in rows)
    retried = complete(job, retry=True)
    assert [(row["status"], row["attempt"]) for row in retried] == [("ok", 1)] * 3


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(path)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_loses_nothing(tmp_path, small_disk):
    photographs_in(tmp_path / "in", 24, 96, 96)
    out = small_disk / "out"
    job = restore(
        tmp_path / "in", out, restorers=["identity"], resources={"unit_images": 4}, quarantine=ANY_SHARE
    )
    try:
        plan_and_execute(job)
    except RunStopped as stopped:
        assert "No space left" in str(stopped)  # noqa: PT017 - either end is right
    rows = [row for table in open_run(job).ledger.tables() for row in table.to_pylist()]
    assert len(rows) < 24 or any(row["reason"] == "WRITE_FAILED" for row in rows)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    plan_and_execute(job)
    table = complete(job, retry=True)
    assert {(row["key"], row["status"]) for row in table} == {(f"{i:04d}.png", "ok") for i in range(24)}
    assert not list(out.rglob("*.part"))


def test_an_exception_is_no_death_so_that_it_is_not_counted(tmp_path, monkeypatch):
    photographs_in(tmp_path / "in", 1)
    job = benchmark(tmp_path / "in", tmp_path / "out")
    opened = open_run(job)
    plan.make_plan(opened, workers=1)
    worker = Worker(open_run(job))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Processor, "restored", interrupted)
    unit = next(plan_files.read_units(opened.folder))
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            worker(unit)
    assert Attempts(opened.folder).begin(unit.unit_id) == 0
