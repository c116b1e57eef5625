"""Scenes in a run: planned in strips, killed, resumed, quarantined, retried, all in the same run folder."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pipeline import run
from pipeline.engines.base import UnitReport
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.scenes import assembly
from pipeline.storage.folder import Folder
from pipeline.units import StripTask, Unit, unit_of
from pipeline.worker import loading, worker
from tests.geotiff_samples import geotiff
from tests.helpers import complete, encoded, fill, metric_rows, photograph, plan_and_execute, restore
from tests.killing import ROOT
from tests.scene_samples import ground, holes

TILED = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "DEFLATE"}
SMALL = {"scene_pixels": 40_000, "strip_samples": 1, "unit_images": 8}
"""Scenes from 200 x 200 pixels on, in strips of 512 rows."""
NEVER = {"threshold": 1.0, "stop_share": 1.0}


def scene(value: int = 0) -> bytes:
    """1300 x 90 pixels: three strips."""
    return geotiff(holes(ground(1, "uint16", 1300, 90), value), nodata=value, **TILED)


def job_on(tmp_path, output: str = "out", **fields):
    return restore(tmp_path / "in", tmp_path / output, **{"resources": SMALL, "quarantine": NEVER} | fields)


def units_of(job):
    return list(plan_files.read_units(open_run(job).folder))


def leftovers(job) -> list[str]:
    return open_run(job).folder.keys("scenes")


@pytest.fixture
def expected(tmp_path):
    """The scene's file as a run without strips makes it."""
    fill(tmp_path / "in", {"scene.tif": scene()})
    job = restore(tmp_path / "in", tmp_path / "whole")
    complete(job)
    return Folder(job.output).read("scene.tif")


def test_a_scene_is_planned_in_strips_beside_other_images(tmp_path, expected):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0)), "z.tif": geotiff(ground(1, "uint8", 50, 60))})
    job = job_on(tmp_path)
    planned, progress = plan_and_execute(job)
    assert (planned.sources, planned.left, planned.units) == (3, 3, 4)
    ordinary, *strips = units_of(job)
    assert [each.key for each in ordinary.sources] == ["a.png", "z.tif"]
    assert [each.strip.rows for each in strips] == [(0, 256), (256, 768), (768, 1300)]
    assert (progress.images, progress.units, progress.quarantined) == (3, 4, 0)
    rows = complete(job)
    assert [(row["key"], row["status"]) for row in rows] == [
        ("a.png", "ok"), ("scene.tif", "ok"), ("z.tif", "ok"),
    ]  # fmt: skip
    assert Folder(job.output).read("scene.tif") == expected
    assert leftovers(job) == []
    assert run.plan(open_run(job), run.Options(engine="local")).left == 0


DEATHS = {
    "in the second strip": ("/scenes/", 2, [1, 2]),
    "between strips": ("-strips/", 2, [2]),
    "before the assembly": ("-strips/", 3, [-1]),
    "assembled, not committed": ("/scene.tif", 1, [-1]),
}
"""Where a run dies: after so many files with this in their path; and the strips that are left then."""


@pytest.mark.slow
def test_a_kill_repeats_one_strip_or_the_assembly(tmp_path):
    fill(tmp_path / "in", {"scene.tif": scene()})
    scores = {"metrics": ["sharpness", "consistency_worst_tile"]}
    whole_job = restore(tmp_path / "in", tmp_path / "whole", **scores)
    (whole,) = complete(whole_job)
    expected = Folder(whole_job.output).read("scene.tif")
    jobs = {name: job_on(tmp_path, name, **scores) for name in DEATHS}
    points = [str(each) for name, job in jobs.items() for each in (job.output, *DEATHS[name][:2])]
    command = [
        sys.executable,
        "-m",
        "tests.scene_deaths",
        job_on(tmp_path, **scores).model_dump_json(),
        *points,
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    for name, job in jobs.items():
        done = {path: path.stat().st_mtime_ns for path in Path(job.output).rglob("*-strips/*/*")}
        planned, progress = plan_and_execute(job)
        assert (planned.left, progress.images) == (1, 1), name
        assert [each.strip.index for each in units_of(job)] == DEATHS[name][2], name
        assert {path: path.stat().st_mtime_ns for path in done} == done, f"{name}: a strip was done again"
        (row,) = complete(job)
        assert row["status"] == "ok", name
        assert Folder(job.output).read("scene.tif") == expected, name
        assert [row[each] for each in scores["metrics"]] == [
            pytest.approx(whole[each], rel=1e-9) for each in scores["metrics"]
        ], name
        assert leftovers(job) == [], name


def test_what_a_kill_left_of_a_scene_that_is_done_goes_with_the_next_plan(tmp_path, expected):
    job = job_on(tmp_path)
    (row,) = complete(job)
    open_run(job).folder.put(f"scenes/{row['source_id']}/0/0-0-256-90.raw", b"a block")
    assert run.plan(open_run(job), run.Options(engine="local")).left == 0
    assert leftovers(job) == []


def test_two_workers_that_assemble_one_scene_do_not_harm_it(tmp_path, expected, monkeypatch):
    """The second finds the blocks gone while it writes, for the first has committed."""
    job = job_on(tmp_path)
    run.plan(open_run(job), run.Options(engine="local"))
    first, second = (worker.Worker(open_run(job)) for _ in range(2))
    *strips, last = units_of(job)
    assert not any(map(first, strips))
    write_mosaic = assembly.write_mosaic

    def overtaken(*arguments, **options):
        monkeypatch.setattr(assembly, "write_mosaic", write_mosaic)
        (row,) = second(last)
        assert row["status"] == "ok"
        write_mosaic(*arguments, **options)

    monkeypatch.setattr(assembly, "write_mosaic", overtaken)
    assert [row["status"] for row in first(last)] in ([], ["ok"])
    (row,) = complete(job)
    assert row["status"] == "ok"
    assert Folder(job.output).read("scene.tif") == expected


def test_blocks_that_are_lost_are_made_again(tmp_path, expected):
    job = job_on(tmp_path)
    options = run.Options(engine="local")
    planned = run.plan(open_run(job), options)
    folder = open_run(job).folder
    first, second, last = units_of(job)
    replica = worker.Worker(open_run(job))
    assert replica(second) == replica(last) == []
    folder.delete(folder.keys("scenes")[0])
    with pytest.raises(ValueError, match=r"1 strips of scene\.tif are gone .* run the same command again"):
        replica(first)
    planned = run.plan(open_run(job), options)
    assert [each.strip.index for each in units_of(job)] == [2]
    run.execute(open_run(job), options, planned)
    assert Folder(job.output).read("scene.tif") == expected


@pytest.mark.slow
def test_a_strip_that_killed_its_process_is_done_in_one_of_its_own(tmp_path, expected):
    job = job_on(tmp_path)
    run.plan(open_run(job), run.Options(engine="local"))
    open_run(job).folder.put(f"attempts/{units_of(job)[1].unit_id}", b"2")
    (row,) = complete(job)
    assert row["status"] == "ok", row["message"]
    assert Folder(job.output).read("scene.tif") == expected
    assert open_run(job).folder.keys("attempts") == []


def test_a_strip_that_kills_its_own_process_quarantines_the_scene(tmp_path):
    fill(tmp_path / "in", {"scene.tif": scene()})
    job = job_on(tmp_path, resources=SMALL | {"image_seconds": 0.01})
    run.plan(open_run(job), run.Options(engine="local"))
    open_run(job).folder.put(f"attempts/{units_of(job)[1].unit_id}", b"2")
    (row,) = complete(job)
    assert (row["status"], row["reason"], row["stage"]) == ("quarantined", "TIMED_OUT", "process")
    assert row["message"].startswith("rows 256 to 767: not done after")


def corrupt(data: bytes) -> bytes:
    """A tile in the middle of the file no longer decodes."""
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 600]) + data[middle + 600 :]


def nothing() -> bytes:
    return geotiff(np.zeros((1, 1300, 90), np.uint16), nodata=0, **TILED)


def test_a_scene_fails_as_a_whole_and_alone(tmp_path):
    rough = np.random.default_rng(0).integers(0, 60_000, (1, 1300, 90), dtype=np.uint16)
    data = geotiff(rough, **TILED)
    infinite = np.where(rough == rough[0, 5, 5], np.inf, rough).astype(np.float32)
    files = {
        "broken.tif": corrupt(geotiff(ground(1, "uint16", 1300, 90), **TILED)),
        "good.tif": data,
        "nothing.tif": nothing() + bytes(6000),
        "unscaled.tif": geotiff(infinite[:, :30]),
    }
    fill(tmp_path / "in", files)
    whole = {
        row["key"]: row for row in complete(restore(tmp_path / "in", tmp_path / "whole", quarantine=NEVER))
    }
    job = job_on(tmp_path)
    rows = {row["key"]: row for row in complete(job)}
    same = ("status", "reason", "stage", "source_sha256", "output_sha256")
    assert {key: [row[each] for each in same[:3]] for key, row in rows.items()} == {
        key: [row[each] for each in same[:3]] for key, row in whole.items()
    }
    assert rows["broken.tif"]["reason"] == "UNREADABLE"
    assert rows["broken.tif"]["message"] == whole["broken.tif"]["message"]
    assert rows["nothing.tif"]["reason"] == "ALL_NODATA"
    assert rows["good.tif"]["output_sha256"] == whole["good.tif"]["output_sha256"]
    assert not (tmp_path / "out" / "broken.tif").exists()
    assert leftovers(job) == []


def test_retry_does_a_scene_again_under_a_new_attempt(tmp_path):
    fill(tmp_path / "in", {"scene.tif": corrupt(geotiff(ground(1, "uint16", 1300, 200), **TILED))})
    job = job_on(tmp_path)
    (row,) = complete(job)
    assert (row["status"], row["attempt"]) == ("quarantined", 0)
    planned, _ = plan_and_execute(job, retry=True)
    assert (planned.left, planned.units) == (1, 3)
    (row,) = complete(job)
    assert (row["status"], row["attempt"]) == ("quarantined", 1)


def test_a_scene_that_changes_between_two_strips_is_no_scene(tmp_path):
    fill(tmp_path / "in", {"scene.tif": scene()})
    job = job_on(tmp_path)
    options = run.Options(engine="local")
    planned = run.plan(open_run(job), options)
    Folder(str(tmp_path / "in")).put("scene.tif", scene(7))
    run.execute(open_run(job), options, planned)
    run.compact(open_run(job))
    (row,) = metric_rows(job)
    assert (row["status"], row["reason"], row["stage"]) == ("quarantined", "CHANGED", "fetch")
    (row,) = complete(job)
    assert row["status"] == "ok"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"restorers": ["total-variation"]}, "not tile-exact"),
        ({"output_format": "png"}, "another format"),
        ({"resources": SMALL | {"scene_pixels": 1300 * 90}}, "no more pixels than the limit"),
        ({"limits": {"max_scene_pixels": 1300 * 90 - 1}}, "more pixels than any scene may have"),
        ({"kind": "degrade", "restorers": [], "degradations": ["awgn-25"]}, "no restore run"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_as_any_other_image(tmp_path, fields, why):
    fill(tmp_path / "in", {"scene.tif": scene()})
    job = job_on(tmp_path, **fields)
    planned = run.plan(open_run(job), run.Options(engine="local"))
    assert (planned.units, [unit.strip for unit in units_of(job)]) == (1, [None]), why


def test_a_scene_that_is_too_large_for_memory_is_not_fetched(tmp_path, monkeypatch):
    """What cannot be done in strips is refused by its header."""
    fill(tmp_path / "in", {"scene.tif": scene(), "small.tif": geotiff(ground(1, "uint8", 50, 60))})
    monkeypatch.setattr(loading, "LOOKED_INTO", 1)
    read, fetched = Folder.read, []
    monkeypatch.setattr(Folder, "read", lambda self, key: fetched.append(key) or read(self, key))
    job = job_on(tmp_path, restorers=["total-variation"], limits={"max_pixels": 1300 * 90 - 1})
    scene_row, small_row = complete(job)
    assert (scene_row["reason"], scene_row["stage"]) == ("TOO_LARGE", "decode")
    assert "90 x 1300 pixels" in scene_row["message"]
    assert "restorer that is tile-exact" in scene_row["message"]
    assert small_row["status"] == "ok"
    assert "small.tif" in fetched
    assert "scene.tif" not in fetched


def test_scenes_of_a_store_that_is_no_disk(tmp_path, expected):
    """Read through the store's files, blocks and output put into it."""
    name = tmp_path.name
    fill(f"memory://{name}/in", {"scene.tif": (tmp_path / "in" / "scene.tif").read_bytes()})
    job = restore(f"memory://{name}/in", f"memory://{name}/out", resources=SMALL)
    planned, _ = plan_and_execute(job)
    assert planned.units == 3
    (row,) = complete(job)
    assert row["status"] == "ok", row["message"]
    assert Folder(job.output).read("scene.tif") == expected
    assert leftovers(job) == []


def test_a_unit_travels_to_a_worker_as_text(tmp_path):
    fill(tmp_path / "in", {"scene.tif": scene()})
    job = job_on(tmp_path)
    run.plan(open_run(job), run.Options(engine="local"))
    units = units_of(job)
    assert [unit_of(json.loads(json.dumps(asdict(unit)))) for unit in units] == units
    assert UnitReport.of(units[0], []).images == 0


def test_a_unit_of_the_plan_file_is_the_unit_that_travels():
    """The file calls the strip ``part``; plans that were written so are still read."""
    record = {"unit_id": "1", "attempt": 0, "sources": [], "part": {"cuts": [0, 256, 768], "index": 1}}
    assert unit_of(record) == Unit("1", 0, (), StripTask((0, 256, 768), 1))
    assert unit_of(record | {"part": None}).strip is None


def test_strips_name_their_units():
    task = StripTask((0, 256, 1300))
    first, second = task.strips
    names = {each.unit_id("scene") for each in (first, second, task)}
    assert len(names) == 3
    assert task.unit_id("scene") == "scene", "the assembly commits the scene's own unit"
    assert StripTask((0, 256, 768)).strips[0].unit_id("scene") == first.unit_id("scene"), (
        "rows decide, not the rest"
    )
    assert first.assembly == second.assembly == task
