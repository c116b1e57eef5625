"""The tables: read by DuckDB, pandas and Polars, each source once, protocols in the metadata."""

import json
import socket

import duckdb
import numpy as np
import pandas
import polars
import pyarrow.parquet as pq
import pytest

from pipeline import run
from pipeline.ledger.run_folder import open_run
from pipeline.metrics import METRICS
from pipeline.results.tables import METRIC_TABLE, SUMMARY_TABLE, compact, read_metrics, read_summary
from tests.helpers import benchmark, complete, encoded, fill, photograph, photographs_in, plan_and_execute


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """Eight images, one of them bad, under two degradations by two restorers."""
    folder = tmp_path_factory.mktemp("tables")
    photographs_in(folder / "in", 7)
    fill(folder / "in", {"bad.png": b"no picture"})
    job = benchmark(folder / "in", folder / "out", degradations=["awgn-25", "jpeg-q10"])
    complete(job)
    return job


def test_three_readers_see_the_same_table(job):
    path = f"{job.output}/{METRIC_TABLE}"
    arrow = pq.read_table(path).to_pylist()
    assert len(arrow) == 8 * 2 * 2
    frame = pandas.read_parquet(path)
    lazy = polars.read_parquet(path)
    assert frame["psnr"].sum() == pytest.approx(lazy["psnr"].sum())
    assert frame["psnr"].sum() == pytest.approx(
        duckdb.sql(f"select sum(psnr) from '{path}'").fetchall()[0][0]
    )
    assert set(frame["status"]) == set(lazy["status"]) == {"ok", "quarantined"}
    assert "extension" not in str(pq.read_schema(path))


def test_the_ranking_query_agrees_with_the_summary(job):
    ranking = duckdb.sql(
        f"select degradation, restorer, avg(psnr) from '{job.output}/{METRIC_TABLE}' "
        "where status = 'ok' group by all"
    ).fetchall()
    summary = {
        (row["degradation"], row["restorer"]): row["mean"]
        for row in pq.read_table(f"{job.output}/{SUMMARY_TABLE}").to_pylist()
        if row["metric"] == "psnr"
    }
    assert {
        (degradation, restorer): pytest.approx(mean) for degradation, restorer, mean in ranking
    } == summary
    assert len(summary) == 4


def test_the_summary_counts_what_failed(job):
    rows = read_summary(open_run(job)).to_pylist()
    assert {(row["n"], row["n_quarantined"], row["n_infinite"]) for row in rows} == {(7, 1, 0)}
    for row in rows:
        assert row["low"] < row["mean"] < row["high"]
        values = read_metrics(open_run(job), ["degradation", "restorer", row["metric"]]).to_pandas()
        mine = values[(values.degradation == row["degradation"]) & (values.restorer == row["restorer"])]
        assert row["mean"] == pytest.approx(np.nanmean(mine[row["metric"]]))
        assert row["median"] == pytest.approx(np.nanmedian(mine[row["metric"]]))


def test_protocols_job_and_recipe_travel_in_the_file(job):
    metadata = json.loads(pq.read_schema(f"{job.output}/{METRIC_TABLE}").metadata[b"restora"])
    assert set(metadata["protocols"]) == {"psnr", "mae"}
    assert metadata["protocols"]["psnr"]["formula"] == METRICS["psnr"].protocol.formula
    assert metadata["recipe_id"] == open_run(job).recipe_id
    assert metadata["job"]["degradations"][0]["name"] == "awgn-25"


def test_tables_can_be_made_again_and_are_the_same(job):
    opened = open_run(job)
    before = read_metrics(opened).to_pylist()
    opened.folder.delete(METRIC_TABLE)
    opened.folder.delete(SUMMARY_TABLE)
    summary = compact(opened)
    assert (summary.rows, summary.ok, summary.quarantined, summary.superseded) == (32, 28, 4, 0)
    assert (summary.images, summary.images_quarantined, summary.quarantined_share) == (8, 1, 1 / 8)
    assert read_metrics(opened).to_pylist() == before


def test_perfect_and_undefined_scores_are_kept_apart(tmp_path):
    fill(
        tmp_path / "in",
        {"flat.png": encoded(np.full((16, 16, 3), 90, np.uint8)), "b.png": encoded(photograph(1))},
    )
    lossless = {"name": "nothing", "operators": [{"op": "gaussian_blur", "sigma": 0.01}]}
    job = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        degradations=[lossless],
        restorers=["identity"],
        metrics=["psnr", "ssim"],
    )
    rows = {row["key"]: row for row in complete(job)}
    assert rows["flat.png"]["psnr"] == rows["b.png"]["psnr"] == float("inf")
    assert rows["b.png"]["ssim"] == pytest.approx(1)
    (psnr,) = [row for row in read_summary(open_run(job)).to_pylist() if row["metric"] == "psnr"]
    assert (psnr["n"], psnr["n_infinite"]) in {(0, 2), (2, 2)}


def test_a_source_in_two_units_is_in_the_table_once(tmp_path):
    """Left behind where an orphan of a killed run commits after the next run planned other units."""
    photographs_in(tmp_path / "in", 4)
    small = benchmark(tmp_path / "in", tmp_path / "out", resources={"unit_images": 2}, restorers=["identity"])
    rows = complete(small)
    opened = open_run(small)
    orphan = [row | {"unit_id": "f" * 32} for row in rows[:3]]
    opened.ledger.commit("f" * 32, orphan)
    summary = run.compact(open_run(small))
    assert (summary.rows, summary.images, summary.superseded) == (4, 4, 3)
    assert sorted(row["key"] for row in read_metrics(opened).to_pylist()) == [f"000{i}.png" for i in range(4)]


def test_an_archive_of_nothing_but_bad_images_has_a_table(tmp_path):
    fill(tmp_path / "in", {"a.png": b"", "b.png": b"no"})
    job = benchmark(tmp_path / "in", tmp_path / "out", quarantine={"stop_share": 1.0})
    plan_and_execute(job)
    assert run.compact(open_run(job)).quarantined_share == 1.0
    frame = pandas.read_parquet(f"{job.output}/{METRIC_TABLE}")
    assert sorted(frame["reason"].unique()) == ["EMPTY", "UNREADABLE"]
    assert frame["psnr"].isna().all()


def test_quarantined_rows_have_the_seed_that_the_image_would_have_had(job, tmp_path):
    path = f"{job.output}/{METRIC_TABLE}"
    frame = pandas.read_parquet(path)
    assert frame["seed"].dtype == "int64", "with gaps pandas makes floats of it, which lose digits"
    fill(tmp_path / "in", {"bad.png": encoded(photograph(3))})
    good = complete(benchmark(tmp_path / "in", tmp_path / "out", degradations=["awgn-25", "jpeg-q10"]))
    bad = frame[frame["key"] == "bad.png"]
    assert set(zip(bad["degradation"], bad["seed"], strict=True)) == {
        (row["degradation"], row["seed"]) for row in good
    }


def test_fields_say_their_units_and_rows_their_host(job):
    schema = pq.read_schema(f"{job.output}/{METRIC_TABLE}")
    units = {name: (schema.field(name).metadata or {}).get(b"unit") for name in schema.names}
    assert units["psnr"] == units["psnr_degraded"] == METRICS["psnr"].protocol.unit.encode()
    assert (units["seconds"], units["source_bytes"], units["key"]) == (b"s", b"byte", None)
    assert set(pq.read_table(f"{job.output}/{METRIC_TABLE}")["host"].to_pylist()) == {socket.gethostname()}
