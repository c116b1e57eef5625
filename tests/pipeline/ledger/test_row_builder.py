"""The columns that every row of an image has."""

from datetime import UTC, datetime, timedelta

from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.schema import COLUMNS
from pipeline.privacy.naming import SourceLocator
from pipeline.units import Source, make_unit
from tests.helpers import restore


def test_a_row_names_the_image_and_what_is_done_to_it(tmp_path):
    run = open_run(restore(tmp_path / "in", tmp_path / "out"))
    row_of = RowBuilder(run, SourceLocator(run.job), "cpu x1")
    source = Source("photos", "a/b.png", 12, "v", "0" * 32)
    unit = make_unit(run.recipe_id, 3, [source])
    row = row_of(source, unit, "none", "median")
    assert row["source_uri"] == f"{tmp_path}/in/a/b.png"
    assert (row["dataset"], row["key"], row["source_id"], row["source_bytes"]) == (
        "photos",
        "a/b.png",
        "0" * 32,
        12,
    )
    assert (row["recipe_id"], row["unit_id"], row["attempt"]) == (run.recipe_id, unit.unit_id, 3)
    assert (row["degradation"], row["restorer"], row["device"]) == ("none", "median", "cpu x1")
    assert row["restorer_sha256"] == run.recipe.restorers[0].sha256
    assert datetime.now(UTC) - row["finished_at"] < timedelta(minutes=1)
    assert set(row) <= set(COLUMNS.names)


def test_a_size_that_no_store_told_is_empty_and_so_is_the_digest_of_no_restorer(tmp_path):
    run = open_run(restore(tmp_path / "in", tmp_path / "out"))
    source = Source("photos", "a.png", -1, "v", "0" * 32, sealed="opaque")
    row = RowBuilder(run, SourceLocator(run.job), "cpu")(source, make_unit("r", 0, [source]), "none", "")
    assert (row["source_bytes"], row["source_uri"], row["restorer_sha256"]) == (None, None, None)
