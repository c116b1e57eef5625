"""Outputs written before the code was ordered into stations: gone on with, proved whole, reported.

What they are and how they were written: ``older_outputs/make.py``, which runs with the code of then.
"""

import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import s3fs

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_existing
from pipeline.ledger.sealing import seal
from pipeline.planning.whois import resolve_ids
from pipeline.privacy.key import VARIABLE
from pipeline.results.tables import METRIC_TABLE
from pipeline.storage.folder import Folder
from pipeline.training.loop import Loop
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.world import World

ARCHIVE = Path(__file__).parent / "older_outputs" / "outputs.tar.gz"
SOURCES = ("photos", "scenes")
KEY = bytes(range(32)).hex()


@pytest.fixture
def before(s3, tmp_path, monkeypatch):
    """The bucket as it was left, as far as one output of it goes: by its name, to the folder."""
    key = tmp_path / "privacy.key"
    key.write_text(KEY + "\n", encoding="ascii")
    monkeypatch.setenv(VARIABLE, str(key))
    files = s3fs.S3FileSystem(endpoint_url=s3["AWS_ENDPOINT_URL"], use_listings_cache=False)
    if files.exists("before"):
        files.rm("before", recursive=True)
    files.mkdir("before")

    def left(name: str) -> Folder:
        folder = Folder("s3://before")
        with tarfile.open(ARCHIVE) as archive:
            for member in archive.getmembers():
                if member.name.partition("/")[0] in (name, *SOURCES):
                    folder.put(member.name, archive.extractfile(member).read())
        return folder

    return left


def rows_of(opened):
    return pq.read_table(io.BytesIO(opened.folder.read(METRIC_TABLE))).to_pylist()


def gone_on_with(job: Job):
    """The whole run again, without its report; what planning found."""
    options = run.Options(engine="local")
    with run.open_run(job, options) as opened:
        planned = run.plan(opened, options)
        run.execute(opened, options, planned)
        run.compact(opened)
        verification = run.verify(opened)
        assert verification.is_whole, verification.problems
    return opened, planned


def page_of(opened) -> str:
    """The report, written again."""
    address = run.report(opened)
    return opened.folder.read(address.removeprefix(opened.folder.uri(""))).decode()


@pytest.mark.parametrize("name", ["benchmark", "restore", "private"])
def test_a_run_that_stopped_after_two_images_goes_on(before, name):
    before(name)
    older = open_existing(f"s3://before/{name}")
    left = {row["source_id"]: row for row in rows_of(older)}
    ledger = older.ledger.keys()
    opened, planned = gone_on_with(older.job)
    assert (planned.sources, planned.done, planned.left) == (4, 2, 2)
    assert opened.recipe_id == older.recipe_id
    assert set(ledger) < set(opened.ledger.keys()), "the units of then are still the record"
    now = {row["source_id"]: row for row in rows_of(opened)}
    assert len(now) == 4
    again = {source: {name: now[source][name] for name in row} for source, row in left.items()}
    assert again == left, "not a value of the old rows has changed"
    assert [now[source]["host"] for source in left] == [None, None], "a column of later"
    assert older.job.name in page_of(opened)
    assert run.plan(opened, run.Options(engine="local")).left == 0
    seal(opened.ledger, lambda: None, at_least=1)
    assert opened.ledger.unit_keys() == [], "the units of then are in a segment"
    run.compact(opened)
    assert {row["source_id"]: row for row in rows_of(opened)} == now
    assert run.plan(opened, run.Options(engine="local")).left == 0


def test_the_ids_of_a_private_run_open_with_its_key(before):
    before("private")
    addresses = {address for _, address in resolve_ids(open_existing("s3://before/private"))}
    assert addresses == {"s3://before/photos/0000.png", "s3://before/photos/0001.png"}


def test_a_scene_of_which_two_strips_were_done_is_assembled(before):
    folder = before("strips")
    older = open_existing("s3://before/strips")
    strips = folder.keys("strips/_restora/ledger", ".parquet")
    opened, planned = gone_on_with(older.job)
    assert (planned.left, planned.units) == (1, 1), "the third strip alone"
    assert set(strips) < set(folder.keys("strips/_restora/ledger", ".parquet"))
    (row,) = rows_of(opened)
    assert (row["status"], row["height"], row["width"]) == ("ok", 1300, 90)
    whole = Job.model_validate(older.job.model_dump() | {"output": "s3://before/whole", "resources": {}})
    again, _ = gone_on_with(whole)
    assert rows_of(again)[0]["output_sha256"] == row["output_sha256"], "as if it had never been cut"


@pytest.mark.parametrize("name", ["training", "gan"])
def test_a_training_goes_on_from_its_checkpoint(before, name):
    """Also where keys of its recipe have other names since: they enter a checkpoint's identity."""
    folder, told = before(name), []
    fields = json.loads((ARCHIVE.parent / f"{name}.json").read_text(encoding="utf-8"))
    finished = Loop(
        TrainingRecipe.parse(fields), Folder(f"s3://before/{name}"), World(0, 1), told.append, lambda: False
    )()
    assert finished.steps == 6
    assert "going on from step 3" in [each.message for each in told]
    steps = pq.read_table(io.BytesIO(folder.read(f"{name}/table.parquet")))["step"].to_pylist()
    assert steps[-1] == 6
