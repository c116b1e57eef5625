"""A metric table in one file of many rows: the report shows those that were drawn while it was written."""

import io
import json
from dataclasses import asdict

import pyarrow.parquet as pq
import pytest

from pipeline.ledger import sealing
from pipeline.results import one_file, report_rows, tables
from pipeline.results.tables import METRIC_TABLE, compact, read_metrics, read_report_rows
from pipeline.results.trust_counts import TOTALS
from tests.helpers import benchmark, fill, finished, photographs_in


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Five images, one of them bad; the report is to show two, and the best and the worst."""
    photographs_in(tmp_path / "in", 4)
    fill(tmp_path / "in", {"bad.png": b"no picture"})
    monkeypatch.setattr(sealing, "SEAL_AT", 1)
    monkeypatch.setattr(report_rows, "IMAGES", 2)
    monkeypatch.setattr(report_rows, "EXTREMES", 1)
    monkeypatch.setattr(one_file, "SHOWN_WHOLE", 8)
    return tmp_path


def names_of(table):
    names = zip(*(table[name].to_pylist() for name in ("key", "degradation", "restorer")), strict=True)
    return sorted(names)


def test_the_report_shows_what_it_shows_of_a_table_in_parts(archive, monkeypatch):
    one, counted = finished(benchmark(archive / "in", archive / "one", degradations=["awgn-25", "jpeg-q10"]))
    monkeypatch.setattr(tables, "ONE_FILE_ROWS", 8)
    parts, _ = finished(benchmark(archive / "in", archive / "parts", degradations=["awgn-25", "jpeg-q10"]))
    drawn, other = read_report_rows(one), read_report_rows(parts)
    assert names_of(drawn) == names_of(other)
    assert len(drawn) < len(read_metrics(one)) == counted.rows
    totals, expected = (json.loads(each.schema.metadata[TOTALS]) for each in (drawn, other))
    assert totals == expected
    assert totals.items() >= {name: asdict(counted)[name] for name in ("rows", "ok", "images")}.items()
    assert sum(totals["reasons"].values()) == counted.quarantined == 4
    assert "images: at random, the best" in (archive / "one" / "report" / "index.html").read_text()
    assert read_report_rows(one, ["key"]).column_names == ["key"]


def test_rows_drawn_from_another_table_are_not_believed(archive):
    job = benchmark(archive / "in", archive / "out")
    opened, _ = finished(job)
    before = opened.folder.read(one_file.SHOWN)
    (archive / "in" / "0009.png").write_bytes((archive / "in" / "0000.png").read_bytes())
    finished(job)
    assert TOTALS in read_report_rows(opened).schema.metadata
    for other in (before, before[: len(before) // 2], b""):
        opened.folder.put(one_file.SHOWN, other)
        assert names_of(read_report_rows(opened)) == names_of(read_metrics(opened))
    opened.folder.delete(one_file.SHOWN)
    assert names_of(read_report_rows(opened)) == names_of(read_metrics(opened))
    with opened.folder.open(METRIC_TABLE) as file:
        state = pq.ParquetFile(file).metadata.metadata[one_file.STATE]
    compact(opened)
    with opened.folder.open(METRIC_TABLE) as file:
        assert pq.ParquetFile(file).metadata.metadata[one_file.STATE] == state, "made from the same"
    assert state != pq.ParquetFile(io.BytesIO(before)).metadata.metadata[one_file.STATE]


def test_a_small_table_is_shown_whole(archive, monkeypatch):
    monkeypatch.setattr(one_file, "SHOWN_WHOLE", 10)
    opened, counted = finished(benchmark(archive / "in", archive / "out"))
    assert counted.rows == 10
    assert names_of(read_report_rows(opened)) == names_of(read_metrics(opened))
    assert not opened.folder.exists(one_file.SHOWN)
