"""Objects that the last plan knew are not named anew, and the plan is the same as if they were."""

import random

import pytest

from pipeline import run
from pipeline.errors import JobError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.run_folder import open_run
from pipeline.planning import known, plan_files
from pipeline.planning.plan import make_plan
from pipeline.privacy.naming import SourceLocator
from pipeline.storage import folder as folders
from tests.helpers import benchmark, fill, photographs_in, restore


@pytest.fixture
def named(monkeypatch):
    """Which keys are named, from now on."""
    keys, identify, identify_all = [], SourceLocator.identify, SourceLocator.identify_all

    def noting(self, dataset, entry):
        keys.append(entry.key)
        return identify(self, dataset, entry)

    def noting_all(self, dataset, page):
        keys.extend(page.keys)
        return identify_all(self, dataset, page)

    monkeypatch.setattr(SourceLocator, "identify", noting)
    monkeypatch.setattr(SourceLocator, "identify_all", noting_all)
    return keys


def job_in(folder, output="out", **fields):
    datasets = [{"name": name, "uri": str(folder / name)} for name in ("one", "two", "three")]
    return benchmark(folder / "one", folder / output, datasets=datasets, **fields)


def planned(job):
    opened = open_run(job)
    make_plan(opened, workers=1)
    return list(plan_files.read_sources(opened.folder))


@pytest.mark.parametrize("seed", range(2))
def test_plans_are_those_of_a_listing_named_anew(tmp_path, monkeypatch, named, seed):
    monkeypatch.setattr(folders, "PAGE", 4)
    monkeypatch.setattr(known, "WINDOW", 8)
    monkeypatch.setattr(plan_files.PlanFile, "BATCH", 3)
    rng = random.Random(seed)
    for name, most in (("one", 25), ("two", 3), ("three", 20)):
        keys = rng.sample(range(60), rng.randint(1, most))
        fill(tmp_path / name, {f"{key:02d}.png": bytes(key + 1) for key in keys})
    planned(job_in(tmp_path))
    for turn in range(2):
        for name in ("one", "two", "three"):
            files = sorted((tmp_path / name).iterdir())
            for path in rng.sample(files, rng.randint(0, len(files) // 3)):
                path.unlink() if rng.random() < 0.5 else path.write_bytes(bytes(100 + turn))
            fill(
                tmp_path / name, {f"{rng.randrange(90):02d}.png": bytes(50) for _ in range(rng.randint(1, 4))}
            )
        named.clear()
        found = planned(job_in(tmp_path))
        anew = len(named)
        assert found == planned(job_in(tmp_path, f"anew-{turn}"))
        assert anew < len(found)


def test_an_unchanged_listing_names_one_source_a_page(tmp_path, monkeypatch, named):
    monkeypatch.setattr(folders, "PAGE", 5)
    for name in ("one", "two", "three"):
        fill(tmp_path / name, {f"{key:02d}.png": bytes(key + 1) for key in range(10)})
    first = planned(job_in(tmp_path))
    written = (tmp_path / "out" / plan_files.SOURCES).stat()
    for _ in range(2):  # also after a plan that found the same, and more to do
        named.clear()
        assert planned(job_in(tmp_path)) == first
        assert len(named) == 6
        assert (tmp_path / "out" / plan_files.SOURCES).stat() == written


@pytest.mark.parametrize("harm", ["no note", "damaged note", "another job", "damaged sources"])
def test_a_plan_that_is_in_doubt_is_not_believed(tmp_path, named, harm):
    for name in ("one", "two", "three"):
        fill(tmp_path / name, {f"{key}.png": bytes(key + 1) for key in range(4)})
    first = planned(job_in(tmp_path))
    out = tmp_path / "out"
    if harm == "no note":
        (out / known.NOTE).unlink()
    if harm == "damaged note":
        (out / known.NOTE).write_bytes(b"{")
    if harm == "damaged sources":
        (out / plan_files.SOURCES).write_bytes((out / plan_files.SOURCES).read_bytes()[:-9])
    named.clear()
    fields = {"quarantine": {"threshold": 0.5}} if harm == "another job" else {}
    assert planned(job_in(tmp_path, **fields)) == first
    assert len(named) == 12


def test_sources_that_meet_are_refused_every_time(tmp_path):
    fill(tmp_path / "in", {"a.tif": b"1"})
    job = restore(tmp_path / "in", tmp_path / "out", output_format="png")
    planned(job)
    fill(tmp_path / "in", {"a.tif.png": b"2"})
    for _ in range(2):
        with pytest.raises(JobError, match="which would become one output"):
            planned(job)
    (tmp_path / "in" / "a.tif.png").unlink()
    assert [each.key for each in planned(job)] == ["a.tif"]


def test_a_run_with_nothing_new_reads_no_row_of_the_ledger(tmp_path, monkeypatch):
    photographs_in(tmp_path / "in", 3)
    job, options = restore(tmp_path / "in", tmp_path / "out"), run.Options(engine="local")

    def once():
        with run.open_run(job, options) as opened:
            planned = run.plan(opened, options)
            run.execute(opened, options, planned)
            found = run.finished(opened, planned)
            if found is None:
                table, proof = run.compact(opened), run.verify(opened)
                opened.folder.put("report/index.html", b"page")
                run.conclude(opened, table, proof, opened.folder.uri("report/index.html"))
            return planned.left, found is not None

    assert once() == (3, False)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "tables", None)
        assert once() == (0, True)
    (tmp_path / "in" / "0003.png").write_bytes((tmp_path / "in" / "0000.png").read_bytes())
    assert once() == (1, False)
    assert once() == (0, True)
    opened = open_run(job)
    opened.folder.delete_all(opened.ledger.keys())
    assert once() == (4, False)
