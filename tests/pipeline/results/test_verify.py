"""Verify: a whole run passes; every kind of damage is found and named."""

import json
import time
from collections import Counter

import pyarrow as pa
import pytest

from pipeline import run
from pipeline.errors import JobError, StorageError
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.planning.plan_files import SOURCES
from pipeline.results import verify as verify_module
from pipeline.results.row_sample import RowSample
from pipeline.results.verified import VERIFIED
from pipeline.results.verify import verify
from tests.helpers import benchmark, complete, fill, photographs_in


@pytest.fixture
def job(tmp_path):
    photographs_in(tmp_path / "in", 4)
    fill(tmp_path / "in", {"bad.png": b"no picture"})
    job = benchmark(tmp_path / "in", tmp_path / "out", save="all", resources={"unit_images": 2})
    complete(job)
    return job


def problems(job) -> str:
    found = run.verify(open_run(job))
    assert found.is_whole == (found.problem_count == 0) == (not found.problems)
    return "\n".join(found.problems)


def objects(job):
    opened = open_run(job)
    return opened, opened.folder.keys("objects", ".png")


def recommit(job, change) -> None:
    """Writes the first unit's ledger file again with other rows."""
    ledger = open_run(job).ledger
    units = (table.to_pylist() for table in ledger.tables())
    rows = next(rows for rows in units if rows[0]["key"] == "0000.png")
    ledger.commit(rows[0]["unit_id"], change(rows))


def test_a_whole_run_passes(job):
    found = run.verify(open_run(job))
    assert (found.sources, found.ok, found.quarantined, found.objects) == (5, 4, 1, 4 * 3)
    assert found.is_whole
    few, all_of_it = (verify(open_run(job), sample=count) for count in (3, 100))
    assert few.is_whole
    assert 3 + 2 <= few.objects <= 2 * 3, "restored, and what it was restored from"
    assert (all_of_it.sources, all_of_it.ok, all_of_it.objects) == (5, 4, 12)


def test_every_row_has_the_same_chance():
    drawn = Counter()
    for _ in range(400):
        sample = RowSample(5)
        for start in (0, 3, 4, 14):
            sample.add(pa.table({"x": range(start, min({0: 3, 3: 4, 4: 14, 14: 20}[start], 20))}))
        rows = sample.table()["x"].to_pylist()
        assert len(set(rows)) == 5
        drawn.update(rows)
    assert len(drawn) == 20
    assert all(50 < count < 150 for count in drawn.values()), (
        "100 are expected, 5.8 standard deviations each side"
    )


def test_a_missing_object_is_named(job):
    opened, keys = objects(job)
    opened.folder.delete(keys[0])
    assert verify(open_run(job), sample=100).problems == (problems(job),)
    assert problems(job) == f"{keys[0]}: the object is missing; restora repair makes it again"


def test_another_size_and_another_hash_are_named(job):
    opened, keys = objects(job)
    opened.folder.put(keys[0], b"short")
    data = bytearray(opened.folder.read(keys[1]))
    data[-1] ^= 1
    opened.folder.put(keys[1], bytes(data))
    assert f"{keys[0]}: 5 bytes, the ledger says" in problems(job)
    assert f"{keys[1]}: its SHA-256 is not that of the ledger" in problems(job)


def test_a_lost_unit_is_missing_and_running_again_heals_it(job):
    opened = open_run(job)
    opened.folder.delete(opened.ledger.keys()[0])
    assert "no committed row for " in problems(job)
    complete(job)


def test_too_few_and_too_many_rows_are_found(job):
    recommit(job, lambda rows: rows[1:])
    assert "fewer than 2 rows for 1 source" in problems(job)
    recommit(job, lambda rows: [*rows, rows[-1]])
    assert "more than 2 rows" in problems(job)


def test_a_row_that_stands_for_another_is_found(job):
    recommit(job, lambda rows: [rows[1], rows[1], *rows[2:]])
    assert "more than one row of awgn-25 x median" in problems(job)


def test_a_row_of_another_job_is_found(job):
    recommit(job, lambda rows: [rows[0] | {"restorer": "stranger"}, *rows[1:]])
    assert "a row of awgn-25 x stranger, which is not in the job" in problems(job)


def test_a_damaged_ledger_is_named_with_the_cure(job):
    opened = open_run(job)
    key = opened.ledger.keys()[0]
    opened.folder.put(key, opened.folder.read(key)[:100])
    with pytest.raises(
        StorageError, match="not a whole Parquet file; run restora repair, or delete it and run the job again"
    ):
        run.verify(open_run(job))
    opened.folder.delete(key)
    complete(job)


def test_many_problems_are_counted_and_the_first_are_shown(job):
    opened, keys = objects(job)
    for key in keys:
        opened.folder.delete(key)
    found = run.verify(open_run(job))
    assert found.problem_count == len(keys) == 12


def test_a_run_that_was_never_planned_cannot_be_verified(job):
    open_run(job).folder.delete(SOURCES)
    with pytest.raises(JobError, match="nothing was planned here yet"):
        run.verify(open_run(job))


def test_an_ok_row_without_the_object_that_the_job_keeps_is_found(job):
    nothing = dict.fromkeys(("output_uri", "output_sha256", "output_bytes"))
    recommit(job, lambda rows: [rows[0] | nothing, *rows[1:]])
    assert "0000.png: an ok row without its output object" in problems(job)


def test_verification_after_tables_sees_what_went_since(job):
    opened = open_run(job)
    run.compact(opened)
    assert opened.counting is not None
    assert run.verify(opened).is_whole
    assert opened.counting is None, "held no longer"
    run.compact(opened)
    opened.folder.delete(opened.ledger.keys()[0])
    assert "no committed row for " in "\n".join(run.verify(opened).problems)


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """Segments that stand as others come; how many rows each night's verification looks at."""
    monkeypatch.setattr(sealing, "SEAL_AT", 1)
    photographs_in(tmp_path / "in", 4)
    fill(tmp_path / "in", {"bad.png": b"no picture"})
    looked, original = [], verify_module._Rows._note
    monkeypatch.setattr(
        verify_module._Rows, "_note", lambda self, rows: (looked.append(len(rows)), original(self, rows))
    )
    job = benchmark(
        tmp_path / "in", tmp_path / "out", save="all", restorers=["identity"],
        resources={"unit_images": 1}, quarantine={"threshold": 1.0, "stop_share": 1.0},
    )  # fmt: skip

    def night():
        del looked[:]
        options = run.Options(engine="local")
        with run.open_run(job, options) as opened:
            run.execute(opened, options, run.plan(opened, options))
            run.compact(opened)
            return run.verify(opened), sum(looked)

    return job, night


def add(folder, name):
    time.sleep(1.1)  # a run begins at a whole second
    (folder / "in" / name).write_bytes((folder / "in" / "0000.png").read_bytes())


def test_a_night_looks_at_what_is_new(nights, tmp_path):
    job, night = nights
    first, looked = night()
    assert (first.sources, first.quarantined, looked) == (5, 1, 5)
    add(tmp_path, "7.png")
    second, looked = night()
    assert second.is_whole
    assert (second.sources, second.ok, second.quarantined, second.objects, looked) == (6, 5, 1, 2, 1)
    assert verify(open_run(job)).is_whole
    opened = open_run(job)
    for other in (b"{}", b"", b"[]", b'{"asked": 1, "parts": {}}', b'{"parts": 1, "asked": null}'):
        opened.folder.put(VERIFIED, other)
        add(tmp_path, f"{len(other)}.png")
        found, looked = night()
        assert found.is_whole
        assert looked == found.sources, "what was noted is not believed"


def test_a_segment_of_which_other_rows_count_is_looked_at_again(nights, tmp_path):
    _, night = nights
    night()
    (tmp_path / "in" / "0001.png").unlink()
    add(tmp_path, "7.png")
    found, looked = night()
    assert found.is_whole
    assert (found.sources, looked) == (5, 5)
    add(tmp_path, "8.png")
    found, looked = night()
    assert found.is_whole
    assert found.sources == 6
    assert looked < 6


def test_nothing_is_noted_of_a_run_that_is_not_whole(nights, tmp_path, monkeypatch):
    job, night = nights
    night()
    opened = open_run(job)
    before = opened.folder.read(VERIFIED)
    add(tmp_path, "7.png")
    with monkeypatch.context() as broken:
        broken.setattr(
            verify_module, "_check_combinations", lambda table, expected, problems: problems.add("a fault")
        )
        found, _ = night()
        assert not found.is_whole
    assert opened.folder.read(VERIFIED) == before


def test_a_note_that_does_not_add_up_is_told(nights, tmp_path):
    job, night = nights
    night()
    opened = open_run(job)
    noted = json.loads(opened.folder.read(VERIFIED))
    for each in noted["parts"].values():
        each["sources"] += 10
    opened.folder.put(VERIFIED, json.dumps(noted).encode())
    add(tmp_path, "7.png")
    found, _ = night()
    assert "verified.json tells of 10 sources too many" in found.problems[0]
    assert verify(opened).is_whole, "which does not ask it"
