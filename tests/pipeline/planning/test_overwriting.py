"""Originals, and files that are not ours, are never written over."""

import pytest

from pipeline import run
from pipeline.errors import JobError
from pipeline.ledger.run_folder import open_run
from pipeline.planning import overwriting
from pipeline.storage.folder import Folder
from tests.helpers import (
    benchmark,
    complete,
    encoded,
    fill,
    photograph,
    photographs_in,
    plan_and_execute,
    restore,
)
from tests.moto_s3 import new_bucket


@pytest.mark.parametrize("kind", ["restore", "degrade"])
def test_sources_below_the_output_are_refused(tmp_path, kind):
    """The object of ``t/b/b/0.png`` would be ``t/b/0.png``."""
    photographs_in(tmp_path / "t" / "b", 1)
    photographs_in(tmp_path / "t" / "b" / "b", 1, first=1)
    before = {path: path.read_bytes() for path in (tmp_path / "t").rglob("*.png")}
    fields = {"kind": "degrade", "degradations": ["awgn-25"], "restorers": []} if kind == "degrade" else {}
    with pytest.raises(JobError, match=r"output: datasets\[0\], .*, is inside .*over originals; choose"):
        plan_and_execute(restore(tmp_path / "t" / "b", tmp_path / "t", **fields))
    assert {path: path.read_bytes() for path in (tmp_path / "t").rglob("*.*")} == before


@pytest.mark.parametrize(
    ("source", "output"), [("local://{}", "{}"), ("{}", "local://{}"), ("{}/", "{}/../in")]
)
def test_aliases_of_one_folder_are_one_folder(tmp_path, source, output):
    photographs_in(tmp_path / "in", 1)
    before = (tmp_path / "in" / "0000.png").read_bytes()
    place = str(tmp_path / "in")
    with pytest.raises(JobError, match="choose a place outside"):
        plan_and_execute(restore(source.format(place), output.format(place)))
    assert (tmp_path / "in" / "0000.png").read_bytes() == before


def test_aliases_of_one_bucket_are_one_bucket(s3):
    bucket = new_bucket()
    photographs_in(f"{bucket}/x", 1)
    with pytest.raises(JobError, match="choose a place outside"):
        plan_and_execute(restore(f"{bucket}/x", f"{bucket.replace('s3:', 's3a:')}/x"))


def test_a_benchmark_may_have_its_images_beside_its_tables(tmp_path):
    photographs_in(tmp_path / "out" / "images", 1)
    complete(benchmark(tmp_path / "out" / "images", tmp_path / "out"))
    with pytest.raises(JobError, match="over originals"):
        open_run(benchmark(tmp_path / "out" / "objects" / "images", tmp_path / "out"))


@pytest.fixture(params=[1000, 0], ids=["looked up", "listed"])
def ways(request, monkeypatch):
    monkeypatch.setattr(overwriting, "_FEW", request.param)


@pytest.mark.usefixtures("ways")
def test_files_that_no_run_wrote_are_left_alone(tmp_path):
    photographs_in(tmp_path / "in", 2)
    fill(tmp_path / "out", {"0001.png": b"a file of the user's", "other.txt": b"another"})
    job = restore(tmp_path / "in", tmp_path / "out")
    with pytest.raises(
        JobError, match=r"holds 1 object that no run wrote there, such as 0001\.png.*--overwrite"
    ):
        plan_and_execute(job)
    assert Folder(job.output).read("0001.png") == b"a file of the user's"
    rows = complete(job.model_copy(update={"overwrite": True}))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert Folder(job.output).read("other.txt") == b"another"


@pytest.mark.usefixtures("ways")
def test_what_a_run_wrote_it_may_write_again(tmp_path):
    """After a kill between object and commit, and where a source has changed."""
    source = photographs_in(tmp_path / "in", 3)
    job = restore(tmp_path / "in", tmp_path / "out", resources={"unit_images": 1})
    complete(job)
    opened = open_run(job)
    opened.folder.delete(opened.ledger.keys()[0])
    assert complete(job)[0]["status"] == "ok"
    source.put("0002.png", encoded(photograph(9)))
    plan_and_execute(job, limit=1)
    assert len(complete(job)) == 3


def test_a_new_source_whose_place_is_taken_is_refused(tmp_path):
    source = photographs_in(tmp_path / "in", 1)
    job = restore(tmp_path / "in", tmp_path / "out", output_format="tiff")
    complete(job)
    Folder(job.output).put("new.png.tif", b"a file of the user's")
    source.put("new.png", encoded(photograph(5)))
    with pytest.raises(JobError, match=r"such as new\.png\.tif"):
        plan_and_execute(job)
    assert (
        run.plan(open_run(job.model_copy(update={"overwrite": True})), run.Options(engine="local")).left == 1
    )
