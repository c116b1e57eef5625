"""The engine that begins here: nothing is done twice and nothing left out, whenever the other takes over."""

import time

import pytest
import torch

from pipeline import run
from pipeline.engines import auto
from pipeline.engines.auto import AutoEngine, go_over
from pipeline.engines.local import LocalEngine
from pipeline.engines.taking_over import Feed
from pipeline.errors import JobError, RunStopped
from pipeline.ledger.run_folder import open_run
from pipeline.planning.plan_files import PlannedUnits
from pipeline.run import Options, engine
from tests.helpers import photographs_in, restore


class OtherProcess:
    """What Ray is to a run: it comes up after a while, and works from a place in the plan on."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.first: int | None = None
        self._fault = fault

    def start(self) -> None:
        pass

    def wait(self) -> None:
        time.sleep(0.05)
        if isinstance(self._fault, JobError):
            raise self._fault

    def reports(self, opened, first):
        if isinstance(self._fault, RunStopped):
            raise self._fault
        self.first, planned = first, PlannedUnits(opened.folder)
        units = (planned[place] for place in range(first, len(planned)))
        yield from LocalEngine().reports(opened, units)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.setattr(auto, "SURE", 0.0)
    monkeypatch.setattr(auto, "PAYS", 0.0)
    monkeypatch.setattr(auto, "MEANWHILE", 0.05)
    photographs_in(tmp_path / "in", 40, 24, 32)
    job = restore(tmp_path / "in", tmp_path / "out", resources={"unit_images": 1})
    run.plan(open_run(job), Options())
    return open_run(job)


def test_the_rest_of_the_plan_is_done_elsewhere(planned):
    other, units = OtherProcess(), PlannedUnits(planned.folder)
    reported = [each.unit_id for each in slowly(go_over(planned, LocalEngine(), lambda: other))]
    assert 0 < other.first < len(units) == units.images == 40
    assert sorted(reported) == sorted(units[place].unit_id for place in range(40))


def slowly(reports):
    for each in reports:
        time.sleep(0.02)
        yield each


def test_all_is_done_here_where_nothing_else_comes_up(planned, caplog):
    fault = JobError("cannot start Ray on this machine: no room")
    reported = list(slowly(go_over(planned, LocalEngine(), lambda: OtherProcess(fault))))
    assert len(reported) == 40
    assert "cannot start Ray on this machine: no room; all work is done in this process" in caplog.text


def test_what_stops_it_elsewhere_stops_the_run(planned):
    other = OtherProcess(RunStopped("the ledger cannot be written"))
    with pytest.raises(RunStopped, match="cannot be written"):
        list(slowly(go_over(planned, LocalEngine(), lambda: other)))


def test_start_up_says_nothing_of_the_pace(planned):
    feed = Feed(PlannedUnits(planned.folder))
    time.sleep(0.05)
    assert feed.seconds == 0
    next(iter(feed))
    time.sleep(0.05)
    assert feed.seconds >= 0.05


def test_a_run_that_is_soon_done_stays_here(planned, monkeypatch):
    monkeypatch.setattr(auto, "PAYS", 1e6)
    running = AutoEngine()
    assert len(list(running(planned))) == 40
    assert running.name == "local"


@pytest.mark.parametrize(
    ("options", "gpus", "name"),
    [
        (Options(), 0, "local"),
        (Options(workers=1), 0, "local"),
        (Options(workers=2), 0, "ray"),
        (Options(ray_address="head:6379"), 0, "ray"),
        (Options(), 1, "local"),
        (Options(), 2, "ray"),
    ],
)
def test_it_is_ray_from_the_start_where_that_is_known(planned, monkeypatch, options, gpus, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    running = engine(options)
    running(planned).close()
    assert running.name == name
