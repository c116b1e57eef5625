"""An output that was moved, copied, or lost something: proved where it is, and made whole again."""

import io
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.addresses import open_output
from pipeline import run
from pipeline.errors import JobError
from pipeline.ledger.run_folder import open_existing, open_run
from pipeline.results.tables import METRIC_TABLE, compact
from pipeline.results.verify import verify
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, complete, metric_rows, photographs_in, plan_and_execute, restore
from tests.moto_s3 import new_bucket

KINDS = {
    "restore": lambda source, out: restore(source, out),
    "tiff": lambda source, out: restore(source, out, output_format="tiff"),
    "benchmark": lambda source, out: benchmark(source, out, save="all"),
}


@pytest.fixture(params=list(KINDS))
def job(request, tmp_path):
    photographs_in(tmp_path / "in", 3)
    made = KINDS[request.param](tmp_path / "in", tmp_path / "d")
    complete(made)
    return made


def objects_of(output) -> list[Path]:
    inner = {"_restora", "ledger", "plan", "tables", "report"}
    return sorted(
        path
        for path in Path(output).rglob("*.*")
        if path.is_file() and not inner & set(path.relative_to(output).parts) and path.suffix != ".json"
    )


def test_a_copy_is_proved_where_it_is(job, tmp_path):
    shutil.copytree(job.output, tmp_path / "e")
    assert verify(open_output(str(tmp_path / "e"), None)).is_whole
    objects_of(tmp_path / "e")[0].write_bytes(b"x")
    found = verify(open_output(str(tmp_path / "e"), None))
    assert found.problem_count == 1
    assert "restora repair makes it again" in found.problems[0]
    assert verify(open_output(job.output, None)).is_whole


def test_an_output_that_was_moved_is_whole_and_goes_on(job, tmp_path):
    shutil.move(job.output, tmp_path / "moved")
    moved = open_output(str(tmp_path / "moved"), None)
    assert verify(moved).is_whole
    compact(moved)
    rows = pq.read_table(io.BytesIO(moved.folder.read(METRIC_TABLE))).to_pylist()
    assert all(Path(row["output_uri"]).is_file() for row in rows)
    photographs_in(tmp_path / "in", 1, first=7)
    rows = complete(job.model_copy(update={"output": str(tmp_path / "moved")}))
    assert {row["key"] for row in rows} == {"0000.png", "0001.png", "0002.png", "0007.png"}
    assert all(Path(row["output_uri"]).is_file() for row in rows)


def test_rows_that_hold_addresses_are_read_where_the_output_is_now(job, tmp_path):
    """As they were written before keys were."""
    opened = open_run(job)
    for key in list(opened.ledger.keys()):
        table = opened.ledger.read(key)
        for column in ("output_uri", "degraded_uri"):
            place = table.schema.get_field_index(column)
            values = [None if v is None else f"{job.output}/{v}" for v in table[column].to_pylist()]
            table = table.set_column(place, table.schema.field(place), pa.array(values, pa.string()))
        opened.ledger.commit(key.rsplit("/", 1)[-1].removesuffix(".parquet"), table.to_pylist())
    shutil.move(job.output, tmp_path / "moved")
    assert verify(open_output(str(tmp_path / "moved"), None)).is_whole


@pytest.mark.parametrize("way", ["retry", "repair"])
def test_an_object_that_is_gone_is_made_again(job, way):
    before = {path: path.read_bytes() for path in objects_of(job.output)}
    gone = objects_of(job.output)[0]
    gone.unlink()
    planned, progress = plan_and_execute(job, **{way: True})
    assert (planned.left, progress.images) == (1, 1)
    assert complete(job)
    assert {path: path.read_bytes() for path in objects_of(job.output)} == before


def test_a_damaged_object_is_found_and_made_again_by_repair_alone(job):
    before = {path: path.read_bytes() for path in objects_of(job.output)}
    objects_of(job.output)[0].write_bytes(b"another content")
    assert plan_and_execute(job, retry=True)[0].left == 0
    assert plan_and_execute(job, repair=True)[0].left == 1
    assert complete(job)
    assert {path: path.read_bytes() for path in objects_of(job.output)} == before
    assert plan_and_execute(job, repair=True)[0].left == 0


def test_a_damaged_ledger_file_is_dropped_and_its_images_done_again(tmp_path):
    photographs_in(tmp_path / "in", 3)
    job = restore(tmp_path / "in", tmp_path / "d", resources={"unit_images": 1})
    first = complete(job)
    opened = open_run(job)
    opened.folder.put(opened.ledger.keys()[1], b"PAR1 torn")
    planned, _ = plan_and_execute(job, repair=True)
    assert planned.left == 1
    again = complete(job)
    assert [row["output_sha256"] for row in again] == [row["output_sha256"] for row in first]


@pytest.mark.parametrize("name", ["plan/sources.parquet", "plan/units.parquet", "finished.json", "run.json"])
def test_damaged_derived_files_are_made_again(tmp_path, name):
    photographs_in(tmp_path / "in", 2)
    job = restore(tmp_path / "in", tmp_path / "d")
    complete(job)
    open_run(job).folder.put(name, b"\x00 torn")
    assert len(complete(job)) == 2


@pytest.mark.parametrize("name", ["recipe.json", "job.json"])
def test_damaged_records_are_written_again_by_the_command_that_made_them(tmp_path, name):
    photographs_in(tmp_path / "in", 2)
    job = restore(tmp_path / "in", tmp_path / "d")
    complete(job)
    open_run(job).folder.put(name, b"{ torn")
    with pytest.raises(JobError, match=r"is damaged .*run the command that made this output again"):
        open_existing(job.output)
    assert plan_and_execute(job)[0].left == 0
    assert open_existing(job.output).job == job


def test_a_damaged_recipe_does_not_let_another_one_in(tmp_path):
    photographs_in(tmp_path / "in", 2)
    complete(restore(tmp_path / "in", tmp_path / "d"))
    other = restore(tmp_path / "in", tmp_path / "d", restorers=["identity"])
    Folder(str(tmp_path / "d" / "_restora")).put("recipe.json", b"{ torn")
    with pytest.raises(JobError, match="the ledger is of another recipe"):
        open_run(other)


def test_sources_that_two_runs_doubled_are_healed(tmp_path):
    """18 of 25 sources stood in two units, and verification failed for ever."""
    photographs_in(tmp_path / "in", 4)
    job = restore(tmp_path / "in", tmp_path / "d", resources={"unit_images": 2})
    first = complete(job)
    opened = open_run(job)
    doubled = [row for key in list(opened.ledger.keys()) for row in opened.ledger.read(key).to_pylist()]
    opened.ledger.commit("f" * 32, [row | {"unit_id": "f" * 32} for row in doubled[:3]])
    assert run.verify(opened).is_whole
    assert run.compact(opened).superseded == 3
    assert metric_rows(job) == first


def test_repair_on_an_object_store(s3):
    bucket = new_bucket()
    photographs_in(f"{bucket}/in", 2)
    job = restore(f"{bucket}/in", f"{bucket}/d")
    complete(job)
    Folder(job.output).delete("0001.png")
    assert plan_and_execute(job, retry=True)[0].left == 1
    assert len(complete(job)) == 2
