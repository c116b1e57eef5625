"""A metric table in parts: rows, summary and report of one in a file; only new parts are written."""

import json

import duckdb
import pandas
import polars
import pytest

from pipeline import run
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.results import parts, tables
from pipeline.results.tables import METRIC_TABLE, read_metrics, read_report_rows, read_summary
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, fill, photographs_in


@pytest.fixture
def in_parts(monkeypatch):
    monkeypatch.setattr(sealing, "SEAL_AT", 1)
    monkeypatch.setattr(tables, "ONE_FILE_ROWS", 8)


def parts_of(run):
    return parts.read_catalogue(run.folder).parts


def rows_of(run):
    rows = read_metrics(run).to_pylist()
    for row in rows:
        for name in ("seconds", "finished_at"):
            row.pop(name)
    return sorted(rows, key=lambda row: (row["key"], row["degradation"], row["restorer"]))


@pytest.fixture
def archive(tmp_path):
    photographs_in(tmp_path / "in", 4)
    fill(tmp_path / "in", {"bad.png": b"no picture"})
    return tmp_path


def job_in(folder, name="out"):
    return benchmark(folder / "in", folder / name, degradations=["awgn-25", "jpeg-q10"])


def test_a_table_in_parts_says_what_one_in_a_file_says(archive, monkeypatch):
    one = finished(job_in(archive, "one"))
    monkeypatch.setattr(sealing, "SEAL_AT", 1)
    monkeypatch.setattr(tables, "ONE_FILE_ROWS", 8)
    other = finished(job_in(archive), with_report=True)
    assert len(parts_of(other)) == 1
    assert rows_of(other) == rows_of(one)
    for found, expected in zip(read_summary(other).to_pylist(), read_summary(one).to_pylist(), strict=True):
        for name, value in expected.items():
            if not name.endswith(("low", "high")):  # intervals: see test_metric_sums
                assert found[name] == (pytest.approx(value) if isinstance(value, float) else value), name
    path = f"{other.folder.url}/{METRIC_TABLE}"
    assert len(pandas.read_parquet(path)) == len(polars.read_parquet(path)) == 20
    assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(20,)]
    headers = [json.loads(read_metrics(each).schema.metadata[b"restora"]) for each in (one, other)]
    assert headers[0] | {"job": None} == headers[1] | {"job": None}, "but for where the output is"
    page = (archive / "out" / "report" / "index.html").read_text()
    assert "from 5 images: at random" in page


def finished(job, with_report=False):
    """Its run folder, after a whole run."""
    options = run.Options(engine="local")
    with run.open_run(job, options) as opened:
        run.execute(opened, options, run.plan(opened, options))
        run.compact(opened)
        assert run.verify(opened).is_whole
        if with_report:
            run.report(opened)
    return open_run(job)


def test_only_new_parts_are_written_and_others_go(in_parts, archive):
    job = job_in(archive)
    opened = finished(job)
    (first,) = parts_of(opened)
    before = {key: (archive / "out" / key).stat().st_mtime_ns for key in first.keys}
    sealing.SEAL_AT = 100  # the new units stay in files
    for name in ("0004.png", "0005.png"):
        (archive / "in" / name).write_bytes((archive / "in" / "0000.png").read_bytes())
    finished(job)
    old, new = parts_of(opened)
    assert old == first
    assert {key: (archive / "out" / key).stat().st_mtime_ns for key in old.keys} == before
    assert sum(row["status"] == "ok" for row in rows_of(opened)) == 6 * 4
    sealing.SEAL_AT = 1
    (archive / "in" / "0001.png").unlink()
    finished(job)
    keys = {key for part in parts_of(opened) for key in part.keys}
    assert not keys & {*old.keys, *new.keys}, "one row less counts"
    assert set(opened.folder.keys(METRIC_TABLE, ".parquet")) == keys
    assert "0001.png" not in {row["key"] for row in rows_of(opened)}


def test_a_damaged_catalogue_is_made_again_from_the_ledger(in_parts, archive):
    job = job_in(archive)
    opened = finished(job)
    before = rows_of(opened)
    opened.folder.put(parts.CATALOGUE, b"{")
    tables.compact(opened)
    assert rows_of(opened) == before


def test_what_is_drawn_is_bounded_and_has_the_extremes(in_parts, archive, monkeypatch):
    from pipeline.results import report_rows

    monkeypatch.setattr(report_rows, "IMAGES", 2)
    monkeypatch.setattr(report_rows, "EXTREMES", 1)
    opened = finished(job_in(archive))
    drawn, whole = read_report_rows(opened), read_metrics(opened)
    assert len(drawn) < len(whole)
    assert max(drawn["psnr"].drop_null().to_pylist()) == max(whole["psnr"].drop_null().to_pylist())
    assert "quarantined" in drawn["status"].to_pylist()


class Killed(BaseException):
    """No handler of ours may catch it."""


class Dying(Folder):
    """A folder whose process dies at the so-manieth write or deletion, before it happens."""

    left = 0

    def _counted(self):
        if self.left == 0:
            raise Killed
        self.left -= 1

    def put(self, key, data):
        self._counted()
        super().put(key, data)

    def put_file(self, key, path):
        self._counted()
        super().put_file(key, path)

    def delete_all(self, keys):
        for key in keys:
            self._counted()
            super().delete(key)


def test_who_reads_the_bare_folder_meets_no_row_twice_wherever_it_is_killed(in_parts, tmp_path):
    files = []
    for number in range(3):
        files.append(tmp_path / f"{number}")
        pandas.DataFrame({"x": [10 * number, 10 * number + 1]}).to_parquet(files[-1])
    keys = [f"{METRIC_TABLE}/{name}.parquet" for name in ("zero", "one", "zero-again", "two")]
    old = [parts.Part("a" * 64, [keys[0]]), parts.Part("b" * 64, [keys[1]])]
    new = [old[1], parts.Part("c" * 64, [keys[2]]), parts.Part("d" * 64, [keys[3]])]

    def replace(folder, left):
        folder.left = left
        try:
            parts.replace_parts(folder, new, {keys[2]: files[0], keys[3]: files[2]})
        except Killed:
            return False
        return True

    for point in range(20):
        folder = Dying(str(tmp_path / f"at-{point}"))
        folder.left = 100
        parts.replace_parts(folder, old, {keys[0]: files[0], keys[1]: files[1]})
        came_through = replace(folder, point)
        rows = pandas.read_parquet(f"{folder.url}/{METRIC_TABLE}")["x"].to_list()
        assert len(set(rows)) == len(rows), f"point {point}"
        found = parts.read_catalogue(folder)
        whole = set(rows) == {0, 1, 10, 11, 20, 21} if point else set(rows) == {0, 1, 10, 11}
        assert whole or not found.is_whole
        assert replace(folder, 100)
        assert set(folder.keys(METRIC_TABLE)) == set(keys[1:])
        assert parts.read_catalogue(folder) == parts.Catalogue(tuple(new))
        if came_through:
            assert point == 5, "catalogue, a deletion, two files, catalogue"
            break
    else:
        raise AssertionError("never came through")
