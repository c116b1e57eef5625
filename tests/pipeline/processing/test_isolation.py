"""One image in a process of its own: the same rows, or how the process ended."""

import functools
import resource
import signal
from hashlib import sha256

import pytest

from pipeline.errors import ImageError, RunStopped
from pipeline.ledger.attempts import ATTEMPTS_TOGETHER, Attempts
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan, plan_files
from pipeline.processing import isolation
from pipeline.processing.processor import Processor
from pipeline.storage.folder import Folder
from pipeline.units import Unit
from pipeline.worker.worker import Worker
from tests.helpers import benchmark, folder_of_somebody, lasting, photographs_in
from tests.killing import WATCHED


@pytest.fixture
def planned(tmp_path):
    """A job of two photographs, its run folder, and its one unit."""
    photographs_in(tmp_path / "in", 2)
    job = benchmark(tmp_path / "in", tmp_path / "out", save="restored", restorers=["median"])
    opened = open_run(job)
    plan.make_plan(opened, workers=1)
    (unit,) = list(plan_files.read_units(opened.folder))[:1]
    return job, opened, unit


def alone(unit: Unit, index: int) -> Unit:
    return Unit(unit.unit_id, unit.attempt, (unit.sources[index],))


def test_an_image_that_takes_too_long_is_stopped(planned):
    _, opened, unit = planned
    ended = isolation.process(opened, alone(unit, 0), seconds=0.05)
    assert isinstance(ended, ImageError)
    assert ended.reason == "TIMED_OUT"


def test_rows_are_those_of_a_process_in_company(planned, tmp_path, monkeypatch):
    """Also from a folder that shadows our packages, and under a limit of memory below ours, which is kept:
    12 GB of address space are enough for torch, and less than three quarters of most machines."""
    _, opened, unit = planned
    monkeypatch.chdir(folder_of_somebody(tmp_path / "elsewhere"))
    before = resource.getrlimit(resource.RLIMIT_AS)
    run = isolation.subprocess.run
    limited = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (12 << 30, 12 << 30))
    monkeypatch.setattr(isolation.subprocess, "run", lambda *a, **k: run(*a, **k, preexec_fn=limited))
    result = isolation.process(opened, alone(unit, 0), seconds=60)
    assert not isinstance(result, ImageError), result
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    together = Worker(opened).process(alone(unit, 0))
    assert lasting(result) == lasting(together)
    assert result[0]["finished_at"].tzinfo is not None


@pytest.mark.parametrize(
    ("death", "message"),
    [
        (str(signal.SIGKILL.value), "its process ended by signal SIGKILL"),
        pytest.param(
            str(signal.SIGSEGV.value), "its process ended by signal SIGSEGV", marks=pytest.mark.long
        ),
        ("exit", "its process ended by exit code 3"),
    ],
)
def test_how_a_process_died_is_told(planned, monkeypatch, death, message):
    job, opened, unit = planned
    poison = Folder(job.datasets[0].uri).read(unit.sources[0].key)
    monkeypatch.syspath_prepend(WATCHED)
    monkeypatch.setenv("RESTORA_POISON", sha256(poison).hexdigest())
    monkeypatch.setenv("RESTORA_DEATH", death)
    ended = isolation.process(opened, alone(unit, 0), seconds=60)
    assert isinstance(ended, ImageError)
    assert (ended.reason, str(ended)) == ("CRASHED", message)


def test_a_unit_that_died_before_is_taken_apart_and_committed(planned, monkeypatch):
    _, opened, unit = planned
    attempts = Attempts(opened.folder)
    attempts.begin(unit.unit_id)
    attempts.begin_again(unit.unit_id, ATTEMPTS_TOGETHER - 1)
    worker = Worker(opened)
    monkeypatch.setattr(Processor, "restored", pytest.fail)  # in this process it must never run again
    rows = worker(unit)
    assert [row["status"] for row in rows] == ["ok"] * len(unit.sources)
    assert worker.ledger.rows(unit.unit_id) is not None
    again = worker(unit)
    assert [row["finished_at"] for row in again] == [row["finished_at"] for row in rows]


def test_a_process_that_cannot_start_blames_no_image(planned, tmp_path, monkeypatch):
    _, opened, unit = planned
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(tmp_path / "broken")
    with pytest.raises(RunStopped, match=r"does not start \(exit code"):
        isolation.process(opened, alone(unit, 0), seconds=60)
