"""Metric tables in lakes: the rows of the run, by the lake's own reader; done again only what changed."""

import pandas
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog

from pipeline.errors import JobError, StorageError
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.results import parts, tables
from pipeline.results.lake_export import export_table
from pipeline.results.lakes.base import PART
from tests.helpers import benchmark, photographs_in, plan_and_execute


def iceberg(place):
    catalogue = SqlCatalog("restora", uri=f"sqlite:///{place}/catalog.db", warehouse=f"file://{place}")
    return catalogue.load_table("restora.metrics").scan().to_arrow().to_pylist()


READERS = {
    "parquet": lambda place: pandas.read_parquet(place).to_dict("records"),
    "delta": lambda place: DeltaTable(str(place)).to_pyarrow_table().to_pylist(),
    "iceberg": iceberg,
}


def job_in(folder, name="out", **fields):
    return benchmark(
        folder / "in", folder / name, restorers=["identity"], resources={"unit_images": 1}, **fields
    )


def compacted(job):
    plan_and_execute(job)
    opened = open_run(job)
    sealing.seal(opened.ledger, lambda: None)
    tables.compact(opened)
    return opened


def scores(rows):
    return sorted((row["key"], row["degradation"], row["psnr"]) for row in rows)


@pytest.fixture
def run(tmp_path, monkeypatch):
    photographs_in(tmp_path / "in", 3)
    monkeypatch.setattr(sealing, "SEAL_AT", 3)
    monkeypatch.setattr(tables, "ONE_FILE_ROWS", 2)
    return compacted(job_in(tmp_path))


def test_lakes_hold_the_rows_of_the_run_and_follow_it(run, tmp_path):
    def exported():
        done = {lake: export_table(run, lake, str(tmp_path / lake)) for lake in READERS}
        wanted = scores(tables.read_metrics(run).to_pylist())
        for lake, read in READERS.items():
            assert scores(read(tmp_path / lake)) == wanted, lake
        assert len({(each.rows, each.new, each.gone) for each in done.values()}) == 1
        return done["delta"].rows, done["delta"].new, done["delta"].gone

    photographs = (tmp_path / "in" / "0000.png").read_bytes()
    assert exported() == (3, 1, 0)
    assert exported() == (0, 0, 0)
    (tmp_path / "in" / "0003.png").write_bytes(photographs)
    compacted(run.job)
    assert exported() == (1, 1, 0), "the segment stays, the file of a unit comes"
    (tmp_path / "in" / "0001.png").unlink()
    compacted(run.job)
    assert exported()[1:] == (1, 1), "one row less in the segment; the other part stays"
    assert DeltaTable(str(tmp_path / "delta")).version() == 2


def test_a_table_in_one_file_is_one_part(tmp_path):
    photographs_in(tmp_path / "in", 2)
    run = compacted(job_in(tmp_path))
    for lake, read in READERS.items():
        done = export_table(run, lake, str(tmp_path / lake))
        assert (done.rows, done.new, done.gone) == (2, 1, 0)
        assert scores(read(tmp_path / lake)) == scores(tables.read_metrics(run).to_pylist())


def test_what_is_no_place_for_it_says_so(run, tmp_path):
    other = compacted(job_in(tmp_path, "other", metrics=["psnr"], seed=7))
    for lake in READERS:
        export_table(run, lake, str(tmp_path / lake))
        with pytest.raises(JobError, match="holds a table of another run"):
            export_table(other, lake, str(tmp_path / lake))
    with pytest.raises(StorageError, match="credentials do not belong in a URL"):
        export_table(run, "delta", "s3://key:secret@bucket/lake")
    with pytest.raises(JobError, match="catalogue of Iceberg cannot be a file there"):
        export_table(run, "iceberg", "memory://lake")
    found = parts.read_catalogue(run.folder)
    parts._write_catalogue(run.folder, parts.Catalogue(found.parts, is_whole=False))
    with pytest.raises(StorageError, match="was stopped while it wrote this table"):
        export_table(run, "parquet", str(tmp_path / "parquet"))


def test_private_rows_go_without_what_tells_a_name(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    photographs_in(tmp_path / "in", 1)
    dataset = {"name": "hospital", "uri": str(tmp_path / "in"), "private": True}
    run = compacted(job_in(tmp_path, datasets=[dataset]))
    with run.folder.open(tables.METRIC_TABLE) as file:
        table = tables.pq.read_table(file)
    place = table.schema.get_field_index("source_uri")
    leaking = table.set_column(
        place, table.schema.field(place), pc.fill_null(table["source_uri"], "Smith.png")
    )
    tables.pq.write_table(leaking, str(tmp_path / "out" / tables.METRIC_TABLE))
    export_table(run, "delta", str(tmp_path / "lake"))
    (row,) = READERS["delta"](tmp_path / "lake")
    assert row["source_uri"] is None
    assert row["psnr"] > 0
    assert row[PART].startswith(run.recipe_id[:12])
