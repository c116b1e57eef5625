"""Cycles are searched for again as soon as a run has been opened: images that failed may hang in them."""

import gc
import weakref

import pytest

from flows.cli.session import run_job
from flows.cli.without_collections import without_collections
from pipeline import run
from pipeline.ledger import run_folder
from pipeline.run import Options
from tests.helpers import benchmark, photographs_in


class Cycle:
    def __init__(self):
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_stays_frozen():
    yield
    gc.unfreeze()


def test_what_is_made_afterwards_is_collected():
    with without_collections():
        inside = weakref.ref(Cycle())
        assert not gc.isenabled()
        with without_collections():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    afterwards = weakref.ref(Cycle())
    gc.collect()
    assert afterwards() is None
    assert inside() is not None  # passed over from now on: it was start-up's


def test_a_fault_inside_switches_it_on_again():
    with pytest.raises(KeyError), without_collections():
        raise KeyError("anything")
    assert gc.isenabled()


def test_a_run_is_opened_without_and_worked_through_with_them(tmp_path, monkeypatch):
    photographs_in(tmp_path / "in", 1)
    seen = {}

    def seeing(module, name):
        original = getattr(module, name)

        def noted(*arguments, **named):
            seen[name] = gc.isenabled()
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, noted)

    seeing(run_folder, "check_run")
    seeing(run, "plan")
    seeing(run, "execute")
    assert run_job(benchmark(tmp_path / "in", tmp_path / "out"), Options(engine="local")) == 0
    assert seen == {"check_run": False, "plan": True, "execute": True}
