"""A large metric table in one file keeps what stands, and is what it would be if it was written at once."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipeline.ledger import sealing
from pipeline.results import one_file
from pipeline.results.parts import SIDE
from pipeline.results.sections import SECTIONS, SectionWriter
from pipeline.results.tables import METRIC_TABLE, compact, read_metrics, read_report_rows, read_summary
from tests.helpers import benchmark, fill, finished, photographs_in

LENIENT = {"threshold": 1.0, "stop_share": 1.0}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Six images, one of them bad, a unit each: a segment that stands as others come."""
    photographs_in(tmp_path / "in", 5)
    fill(tmp_path / "in", {"bad.png": b"no picture"})
    monkeypatch.setattr(sealing, "SEAL_AT", 1)
    monkeypatch.setattr(one_file, "SHOWN_WHOLE", 0)
    return tmp_path


@pytest.fixture
def written(monkeypatch):
    """Names of the parts of the ledger that were written, in this test."""
    names, original = [], SectionWriter._written

    def note(self, part, file):
        names.append(part.name)
        return original(self, part, file)

    monkeypatch.setattr(SectionWriter, "_written", note)
    return names


def opened_after(folder, **settings):
    """Its run folder, after a whole run of a job with these settings too."""
    job = benchmark(
        folder / "in", folder / "out", restorers=["identity"],
        resources={"unit_images": 1}, quarantine=LENIENT, **settings,
    )  # fmt: skip
    return finished(job)[0]


def everything(opened):
    """The table's bytes, and what else is made with it."""
    shown = read_report_rows(opened)
    page = opened.folder.read(METRIC_TABLE)
    return page, read_summary(opened), shown, sorted(opened.folder.keys(SIDE))


def at_once(opened):
    """The same, written from nothing."""
    shutil.rmtree(f"{opened.folder.root}/tables")
    compact(opened)
    return everything(opened)


def described(opened):
    with opened.folder.open(METRIC_TABLE) as file:
        return json.loads(pq.ParquetFile(file).metadata.metadata[SECTIONS])


def grow(archive, name="9.png"):
    shutil.copy(archive / "in" / "0000.png", archive / "in" / name)
    return opened_after(archive)


def same(found, expected):
    assert found[0] == expected[0], "bytes of the table"
    assert found[1].equals(expected[1], check_metadata=True), "summary"
    assert found[2].equals(expected[2], check_metadata=True), "rows of the report"
    assert found[3] == expected[3], "what is kept beside"


def test_what_stands_is_kept_and_the_table_is_that_of_a_whole_rewrite(archive, written):
    first = opened_after(archive)
    (one,) = described(first)
    opened = grow(archive)
    assert len(written) == 2
    assert written[0] == one["name"] != written[1]
    kept, new = described(opened)
    assert kept == one
    assert new["start"] == one["end"]
    assert len(read_metrics(opened)) == 7
    before = everything(opened)
    same(before, at_once(opened))
    compact(opened)
    assert written[2:] == written[:2], "both by the rewrite, none by what came after it"
    same(everything(opened), before)


def test_rows_that_count_no_more_are_written_anew(archive, written):
    opened_after(archive)
    (archive / "in" / "0001.png").unlink()
    opened = grow(archive)
    assert len(written) == 3, "a row of the segment went"
    assert "0001.png" not in read_metrics(opened)["key"].to_pylist()
    same(everything(opened), at_once(opened))
    (archive / "in" / "bad.png").write_bytes((archive / "in" / "0000.png").read_bytes())
    opened = opened_after(archive)
    assert set(read_metrics(opened)["status"].to_pylist()) == {"ok"}
    same(everything(opened), at_once(opened))


def test_a_table_that_is_damaged_or_older_is_written_anew(archive, written):
    opened = opened_after(archive)
    whole, (one,) = opened.folder.read(METRIC_TABLE), described(opened)
    side = next(key for key in opened.folder.keys(SIDE) if key.endswith("-report.parquet"))
    for damage in (
        whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        whole[: one["end"]],
        whole[: len(whole) // 2],
        b"",
    ):
        opened.folder.put(METRIC_TABLE, damage)
        del written[:]
        compact(opened)
        assert (written, opened.folder.read(METRIC_TABLE)) == ([one["name"]], whole)
    for damage in (lambda: opened.folder.delete(side), lambda: opened.folder.put(side, b"PAR1")):
        damage()
        del written[:]
        compact(opened)
        assert (written, opened.folder.read(METRIC_TABLE)) == ([one["name"]], whole)
    del written[:]
    compact(opened)
    assert written == []


def test_litter_beside_the_table_goes(archive):
    opened = opened_after(archive)
    before = opened.folder.keys(SIDE)
    opened.folder.put(f"{SIDE}/{'0' * 32}-report.parquet", b"of a run that was killed")
    compact(opened)
    assert opened.folder.keys(SIDE) == before


def test_distances_sum_up_what_stands_too(archive, written):
    pytest.importorskip("efficientnet_lite_pytorch")
    distances = {"distances": ["frechet_lite0"]}
    opened_after(archive, **distances)
    shutil.copy(archive / "in" / "0000.png", archive / "in" / "9.png")
    opened = opened_after(archive, **distances)
    assert len(written) == 2
    (row,) = (row for row in read_summary(opened).to_pylist() if row["metric"] == "frechet_lite0")
    assert row["n"] == 6
    same(everything(opened), at_once(opened))
