"""Litter of killed runs: cleared by the next run where nobody holds it, and left where somebody does."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile

import pytest

from pipeline import run
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.lease import LEASE, Holder
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.run_record import BEGUN, RUN, RunRecord
from pipeline.storage import scratch as scratches
from pipeline.storage.scratch import clear_parts, clear_scratch, scratch
from tests.helpers import complete, photographs_in, plan_and_execute, restore

OLD = 1_000_000_000
HOLD = "import fcntl,sys; f=open(sys.argv[1]); fcntl.flock(f, 2); print(1, flush=True); sys.stdin.read()"


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    photographs_in(tmp_path / "in", 3)
    return restore(tmp_path / "in", tmp_path / "out")


def part(folder, name=".restora-ab1_cd2x.part"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"half")
    os.utime(folder / name, (OLD, OLD))
    return folder / name


def test_the_next_run_clears_what_a_killed_one_left_and_nothing_else(job, tmp_path):
    complete(job)
    opened = open_run(job)
    out = tmp_path / "out"
    left = [part(out), part(out / "sub"), part(out / "_restora" / "plan")]
    source = part(tmp_path / "in")
    named_alike = part(out, ".restora-holiday.part")
    dead = tmp_path / "tmp" / "restora-scratch-plan-x"
    dead.mkdir()
    os.utime(dead, (OLD, OLD))
    Attempts(opened.folder).begin("ab" * 16)
    opened.folder.put(BEGUN, b"2026-01-01T00:00:00+00:00")
    complete(job)
    assert not any(path.exists() for path in left)
    assert not dead.exists()
    assert opened.folder.keys("attempts") == []
    assert not opened.folder.exists(BEGUN)
    assert source.exists(), "an original, whatever it is called"
    assert named_alike.exists()


def killed(opened) -> None:
    """As a run is left that died a moment ago: begun, with a lease that nobody keeps alive."""
    opened.folder.put(BEGUN, b"2026-01-01T00:00:00+00:00")
    dead = dataclasses.replace(Holder.here(), process_started="long ago")
    opened.folder.put(f"{LEASE}/000001.json", json.dumps(dataclasses.asdict(dead)).encode())


def test_uncommitted_objects_of_sources_that_went_away_are_removed_by_the_run_after_a_kill(job, tmp_path):
    complete(job, limit=1)
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.plan(opened, run.Options(engine="local"))
    alien, out = part(tmp_path / "out", "0001.png"), tmp_path / "out"
    killed(opened)
    (out / "0002.png").write_bytes(b"what the killed run wrote")
    for number in range(3):
        (tmp_path / "in" / f"000{number}.png").unlink()
    photographs_in(tmp_path / "in" / "more", 1)
    complete(job)
    assert not (out / "0002.png").exists()
    assert alien.read_bytes() == b"half", "written before that run began"
    assert (out / "0000.png").exists(), "committed: it is a result, whatever became of its source"


def test_what_a_killed_run_wrote_of_a_changed_source_is_written_again_and_overwritten_ones_stay(
    job, tmp_path
):
    job = job.model_copy(update={"overwrite": True})
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.plan(opened, run.Options(engine="local"))
    killed(opened)
    for number in range(2):
        (tmp_path / "out" / f"000{number}.png").write_bytes(b"whose is it?")
    (tmp_path / "in" / "0000.png").unlink()
    (tmp_path / "in" / "0001.png").write_bytes((tmp_path / "in" / "0002.png").read_bytes())
    complete(job)
    assert (tmp_path / "out" / "0000.png").read_bytes() == b"whose is it?"
    assert run.verify(opened).is_whole


def test_a_run_after_one_that_ended_well_looks_for_nothing(job, tmp_path):
    complete(job)
    left = part(tmp_path / "out")
    complete(job)
    assert left.exists()


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    path = part(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    holder.stdout.readline()
    assert clear_parts(str(tmp_path)) == 0
    holder.kill()
    holder.communicate()
    assert clear_parts(str(tmp_path)) == 1


def test_scratch_folders_are_held_while_they_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratches, "_SECONDS_TO_LOCK", -1.0)
    with scratch("test") as folder:
        assert clear_scratch() == 0
        assert folder.is_dir()
    assert os.listdir(tmp_path) == []


def test_folders_of_a_run_that_was_killed_in_its_planning_go(job, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(scratches, "_SECONDS_TO_LOCK", -1.0)
    left = tmp_path / "temporary" / "restora-scratch-plans-dead"
    left.mkdir()
    plan_and_execute(job)
    assert not left.exists()


def test_a_run_that_was_killed_when_all_was_committed_gets_its_record(job):
    plan_and_execute(job)
    opened = open_run(job)
    before = json.loads(opened.folder.read(RUN))
    opened.folder.delete(RUN)
    opened.folder.put(BEGUN, before["started_at"].encode())
    planned, _ = plan_and_execute(job)
    assert planned.units == 0
    after = RunRecord.read(opened.folder)
    assert (after.started_at, after.images) == (before["started_at"], 3)
    assert after.finished_at >= after.started_at
    assert not opened.folder.exists(BEGUN)
    assert run.verify(opened).is_whole
