"""Runs from end to end: benchmark, restore, degrade; again; with retries, changes and hopeless archives."""

import json
import os
import resource
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from pipeline import run
from pipeline.errors import JobError, RunStopped, StorageError
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_existing, open_run
from pipeline.storage.folder import Folder
from tests.bad_images import DEEP, OPACITY, PHOTO
from tests.helpers import (
    benchmark,
    complete,
    decoded,
    encoded,
    fill,
    lasting,
    metric_rows,
    photograph,
    photographs_in,
    plan_and_execute,
    restore,
)

SET5 = os.path.join(os.path.dirname(__file__), "../../../shared/data/Set5/HR")


@pytest.mark.skipif(not os.path.isdir(SET5), reason="Set5 does not lie at ../shared/data")
def test_bicubic_on_set5_scores_what_papers_report(tmp_path):
    job = Job.parse(
        {
            "name": "set5-x4",
            "output": str(tmp_path / "out"),
            "datasets": [{"name": "set5", "uri": SET5, "pattern": "*.png"}],
            "degradations": ["bicubic-x4"],
            "restorers": ["bicubic", "lanczos"],
            "metrics": ["psnr_y", "ssim_y", "psnr", "ssim", "mae", "mse"],
        }
    )
    rows = complete(job)
    assert len(rows) == 10
    bicubic = [row for row in rows if row["restorer"] == "bicubic"]
    assert np.mean([row["psnr_y"] for row in bicubic]) == pytest.approx(28.42, abs=0.015)
    assert np.mean([row["ssim_y"] for row in bicubic]) == pytest.approx(0.8104, abs=0.002)
    for row in bicubic:
        assert row["psnr_y"] == row["psnr_y_degraded"], "the input is scored as MATLAB bicubic enlarges it"


def test_a_benchmark_writes_what_its_rows_say(tmp_path):
    photographs_in(tmp_path / "in", 3)
    job = benchmark(tmp_path / "in", tmp_path / "out", save="all", degradations=["jpeg-q10", "awgn-25"])
    rows = complete(job)
    assert Counter((row["degradation"], row["restorer"]) for row in rows) == {
        (degradation, restorer): 3
        for degradation in ("jpeg-q10", "awgn-25")
        for restorer in ("identity", "median")
    }
    for row in rows:
        reference = decoded(Folder(str(tmp_path / "in")).read(row["key"]))
        restored = decoded(Path(row["output_uri"]).read_bytes())
        assert row["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, restored), abs=1e-4)
        if row["degradation"] == "jpeg-q10":  # which rounds, so that the file holds what was scored
            degraded = decoded(Path(row["degraded_uri"]).read_bytes())
            assert row["psnr_degraded"] == pytest.approx(
                peak_signal_noise_ratio(reference, degraded), abs=1e-4
            )
            assert json.loads(row["degradation_params"])[0] == {"op": "jpeg", "quality": 10} | {
                name: value
                for name, value in json.loads(row["degradation_params"])[0].items()
                if name not in ("op", "quality")
            }
    assert Counter(row["recipe_id"] for row in rows) == {open_run(job).recipe_id: 12}


def test_a_restore_keeps_names_formats_and_kinds(tmp_path):
    files = {
        "grey.png": encoded(PHOTO[..., 0]),
        "sub/colour.tif": encoded(PHOTO, "TIFF"),
        "sub/deep.png": encoded(DEEP[..., 0]),
        "clear.png": encoded(np.dstack([PHOTO, OPACITY])),
        "photo.webp": encoded(PHOTO, "WEBP", lossless=True),
    }
    fill(tmp_path / "in", files)
    rows = complete(restore(tmp_path / "in", tmp_path / "out"))
    assert {row["key"]: (row["status"], row["output_uri"]) for row in rows} == {
        key: ("ok", str(tmp_path / "out" / key)) for key in files
    }
    for key, data in files.items():
        before, after = decoded(data), decoded((tmp_path / "out" / key).read_bytes())
        assert (after.shape, after.dtype) == (before.shape, before.dtype)
        assert not np.array_equal(after, before), "a median changes a photograph"
    restored = decoded((tmp_path / "out" / "clear.png").read_bytes())
    assert np.array_equal(restored[..., 3], OPACITY)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "grey.png", "sub", "clear.png", "photo.webp", "_restora",
    }  # fmt: skip


def test_a_degrade_run_makes_what_a_benchmark_would(tmp_path):
    photographs_in(tmp_path / "in", 3)
    fields = {"kind": "degrade", "restorers": [], "metrics": [], "degradations": ["blur-noise"]}
    rows = complete(benchmark(tmp_path / "in", tmp_path / "degraded", **fields))
    scored = complete(
        benchmark(
            tmp_path / "in", tmp_path / "out", degradations=["blur-noise"], restorers=["identity"], save="all"
        )
    )
    for row, other in zip(lasting(rows), lasting(scored), strict=True):
        assert row["seed"] == other["seed"]
        assert row["degradation_params"] == other["degradation_params"]
        assert row["output_sha256"] == other["degraded_sha256"]
        assert row["output_uri"] == str(tmp_path / "degraded" / row["key"])


def test_a_second_run_does_nothing(tmp_path):
    photographs_in(tmp_path / "in", 5)
    job = benchmark(tmp_path / "in", tmp_path / "out", save="restored")
    first = complete(job)
    files = {
        p: p.stat().st_mtime_ns
        for p in (tmp_path / "out").rglob("*")
        if p.parts[-2] in ("ledger", "identity")
    }
    planned, progress = plan_and_execute(job)
    assert (planned.left, planned.units, planned.done, progress.images) == (0, 0, 5, 0)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert complete(job) == first


def test_added_changed_and_deleted_sources_change_the_table(tmp_path):
    folder = photographs_in(tmp_path / "in", 4)
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=["identity"], save="restored")
    before = {row["key"]: row for row in complete(job)}
    folder.put("0001.png", encoded(photograph(77)))
    folder.delete("0002.png")
    folder.put("new.png", encoded(photograph(78)))
    planned, _ = plan_and_execute(job)
    assert (planned.sources, planned.done, planned.left, planned.removed) == (4, 2, 2, 2)
    after = {row["key"]: row for row in complete(job)}
    assert sorted(after) == ["0000.png", "0001.png", "0003.png", "new.png"]
    assert after["0000.png"] == before["0000.png"]
    assert after["0001.png"]["source_sha256"] != before["0001.png"]["source_sha256"]
    assert after["0001.png"]["output_sha256"] != before["0001.png"]["output_sha256"]


def test_a_limit_is_a_beginning_that_a_full_run_continues(tmp_path):
    photographs_in(tmp_path / "in", 6)
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=["identity"])
    first = complete(job, limit=2)
    assert [row["key"] for row in first] == ["0000.png", "0001.png"]
    planned, _ = plan_and_execute(job)
    assert (planned.done, planned.left) == (2, 4)
    assert [row for row in complete(job) if row["key"] < "0002"] == first


def test_retry_does_only_what_failed_and_supersedes_it(tmp_path):
    folder = photographs_in(tmp_path / "in", 4)
    folder.put("0002.png", b"not a picture")
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=["identity"], quarantine={"stop_share": 1.0})
    rows = complete(job)
    assert [row["reason"] for row in rows if row["status"] != "ok"] == ["UNREADABLE"]
    planned, _ = plan_and_execute(job, retry=True)
    assert (planned.left, planned.units) == (1, 1)
    again = {row["key"]: row for row in complete(job)}
    assert (again["0002.png"]["attempt"], again["0002.png"]["reason"]) == (1, "UNREADABLE")
    assert run.compact(open_run(job)).superseded == 1
    assert plan_and_execute(job)[0].left == 0


def test_a_hopeless_archive_stops_early_with_the_reasons(tmp_path):
    fill(tmp_path / "in", {f"{i:03d}.png": b"no picture" for i in range(60)})
    job = benchmark(
        tmp_path / "in", tmp_path / "out", resources={"unit_images": 5}, quarantine={"stop_after": 10}
    )
    with pytest.raises(RunStopped, match=r"10 of the first 10 images were quarantined \(UNREADABLE 10\)"):
        plan_and_execute(job)
    committed = len(open_run(job).ledger.committed().done)
    assert 10 <= committed < 60, "several units may be under way when it stops"
    assert run.plan(open_run(job), run.Options(engine="local")).done == committed, "what was done is kept"


def test_a_few_bad_images_stop_nobody(tmp_path):
    photographs_in(tmp_path / "in", 18)
    fill(tmp_path / "in", {"bad1.png": b"no", "bad2.png": b""})
    job = benchmark(tmp_path / "in", tmp_path / "out", quarantine={"stop_after": 2})
    _, progress = plan_and_execute(job)
    assert (progress.images, progress.quarantined, dict(progress.reasons)) == (
        20,
        2,
        {"UNREADABLE": 1, "EMPTY": 1},
    )


def test_an_unreadable_folder_is_a_row_and_all_others_are_done(tmp_path, monkeypatch):
    photographs_in(tmp_path / "in", 2)
    photographs_in(tmp_path / "in" / "secret", 2)
    scandir = os.scandir

    def guarded(path):
        if str(path).rstrip("/").endswith("secret"):  # chmod does not stop root
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=["identity"])
    rows = complete(job)
    assert {(row["key"], row["reason"], row["stage"]) for row in rows} == {
        ("0000.png", None, None),
        ("0001.png", None, None),
        ("secret/", "READ_FAILED", "fetch"),
    }
    monkeypatch.undo()
    assert {row["key"]: row["status"] for row in complete(job)} == dict.fromkeys(
        ("0000.png", "0001.png", "secret/0000.png", "secret/0001.png"), "ok"
    )


def test_a_wrong_place_stops_before_anything_is_quarantined(tmp_path):
    with pytest.raises(StorageError, match=r"cannot list .*nowhere"):
        plan_and_execute(benchmark(tmp_path / "nowhere", tmp_path / "out"))
    (tmp_path / "file").write_bytes(b"")
    photographs_in(tmp_path / "in", 1)
    with pytest.raises(StorageError, match=r"output: cannot use .*file/out: NotADirectoryError"):
        plan_and_execute(benchmark(tmp_path / "in", tmp_path / "file" / "out"))


@contextmanager
def files_of_at_most(size):
    """As ``ulimit -f`` has it: a disk that takes no more than so many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [256, 4000, 5000, 12_000])
def test_a_disk_that_takes_no_more_is_told_with_its_cure_and_the_run_goes_on(tmp_path, size):
    photographs_in(tmp_path / "in", 2)
    job = benchmark(tmp_path / "in", tmp_path / "out")
    cure = r"out.*File too large.*; allow larger files \(ulimit -f\), then run the same command again"
    with files_of_at_most(size), pytest.raises((StorageError, RunStopped), match=cure):
        complete(job)
    assert {row["status"] for row in complete(job)} == {"ok"}


def test_a_run_folder_is_found_again_by_their_place(tmp_path):
    photographs_in(tmp_path / "in", 1)
    for job, output in [
        (benchmark(tmp_path / "in", tmp_path / "one"), tmp_path / "one"),
        (restore(tmp_path / "in", tmp_path / "two"), tmp_path / "two"),
    ]:
        complete(job)
        found = open_existing(str(output))
        assert (found.job, found.recipe_id) == (job, open_run(job).recipe_id)
    with pytest.raises(JobError, match="holds no run of restora"):
        open_existing(str(tmp_path / "in"))


def test_the_local_engine_has_one_worker(tmp_path):
    with pytest.raises(JobError, match="--workers 3: the local engine has one worker; use --engine ray"):
        run.engine(run.Options(engine="local", workers=3))


def test_progress_counts_and_estimates():
    from pipeline.engines.base import UnitReport

    progress = run.Progress(images_total=100, units_total=10)
    assert (progress.images_per_second, progress.seconds_left, progress.quarantined_share) == (0, None, 0)
    for number in range(4):
        progress.add(UnitReport("u", 10, 1, {"EMPTY": 2}, {"EMPTY": f"{number}.png"}))
    progress.started -= 8.0
    assert (progress.images, progress.units, progress.quarantined_share) == (40, 4, 0.1)
    assert (progress.reasons, progress.examples) == ({"EMPTY": 8}, {"EMPTY": "0.png"})
    assert progress.seconds_left == pytest.approx(60 / progress.images_per_second, rel=0.05)


def test_rows_are_those_of_the_table(tmp_path):
    photographs_in(tmp_path / "in", 2)
    job = benchmark(tmp_path / "in", tmp_path / "out")
    complete(job)
    row = metric_rows(job)[0]
    assert (row["height"], row["width"], row["channels"], row["dtype"]) == (32, 40, 3, "uint8")
    assert row["source_uri"] == str(tmp_path / "in" / row["key"])
    assert len(row["recipe_id"]) == len(row["source_sha256"]) == len(row["restorer_sha256"]) == 64
    assert len(row["source_id"]) == len(row["unit_id"]) == 32
    assert row["device"].startswith("cpu")
    assert row["seconds"] > 0
    assert row["finished_at"].tzinfo is not None
