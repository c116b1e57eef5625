"""Private datasets: nothing that names a patient leaves but inside the restored objects; ids last."""

import json
import logging
import os
import stat

import pyarrow.parquet as pq
import pytest

from pipeline import run
from pipeline.errors import JobError, StorageError
from pipeline.jobs.job import Job
from pipeline.ledger.redaction import ALLOWED_COLUMNS
from pipeline.ledger.run_folder import open_existing, open_run
from pipeline.ledger.schema import COLUMNS
from pipeline.planning import plan_files
from pipeline.planning.whois import resolve_ids
from pipeline.privacy.datasets import seal_job
from pipeline.privacy.key import VARIABLE, PrivacyKey, load_key, make_key
from tests.canary import CANARY, archive, hits, planted
from tests.dicom_samples import pydicom
from tests.helpers import complete, encoded, fill, lasting, photograph, plan_and_execute, restore

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}
WITHHELD = {"source_uri", "message"}


@pytest.fixture(autouse=True)
def key(tmp_path_factory, monkeypatch):
    path = tmp_path_factory.mktemp("key") / "privacy.key"
    make_key(path)
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def job_of(root, out, **fields) -> Job:
    dataset = {"name": "hospital", "uri": str(root / CANARY), "private": True} | fields.pop("dataset", {})
    chosen = {"restorers": ["identity"], "quarantine": ANY_SHARE} | fields
    return restore("", out, datasets=[dataset], **chosen)


def test_no_byte_of_a_run_tells_a_name(tmp_path, caplog, capfd, recwarn):
    files = archive(tmp_path / "in")
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    job = job_of(tmp_path / "in", tmp_path / "out")
    rows = complete(job)
    run.report(open_run(job))
    assert hits(tmp_path / "out") == []
    said = [record.getMessage() for record in caplog.records] + list(capfd.readouterr())
    assert not [each for each in (*said, *(str(each.message) for each in recwarn.list)) if CANARY in each]

    assert len(list(resolve_ids(open_existing(job.output)))) == len(rows) == len(files)
    reasons = sorted(str(row["reason"]) for row in rows)
    assert reasons == ["EMPTY", "NO_PIXELS", "None", "None", "None", "TRUNCATED"]
    for row in rows:
        assert row["source_uri"] is row["message"] is None
        assert row["source_sha256"] or row["reason"] is not None


def test_frames_of_a_private_scene_are_told_and_not_named(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    whole = photograph(3, 40, 56)
    frames = {f"{CANARY}/{CANARY}_{t}.png": encoded(whole[t : t + 32, :40]) for t in (1, 2, 3)}
    fill(tmp_path / "in", frames | {f"{CANARY}/odd_{CANARY}.png": encoded(whole)})
    group = {"match": rf"(?P<scene>{CANARY})_(?P<t>\w+)\.png", "contiguous": True}
    rows = complete(
        job_of(tmp_path / "in", tmp_path / "out", dataset={"group": group}, restorers=["temporal-median"])
    )
    assert sorted((row["status"], row["reason"]) for row in rows) == [
        ("ok", None),
        ("quarantined", "FRAMES_UNORDERED"),
    ]
    (told,) = [json.loads(row["condition"]) for row in rows if row["status"] == "ok"]
    assert told["frames"] == 3
    assert hits(tmp_path / "out") == []
    assert not [each.getMessage() for each in caplog.records if CANARY in each.getMessage()]
    fill(tmp_path / "in", {f"{CANARY}/{CANARY}_x.png": encoded(whole[:32, :40])})
    rows = complete(
        job_of(tmp_path / "in", tmp_path / "other", dataset={"group": group}, restorers=["temporal-median"])
    )
    assert {row["reason"] for row in rows} == {"FRAMES_UNORDERED"}
    assert hits(tmp_path / "other") == []


def test_restored_objects_have_opaque_names_and_are_still_the_patients(tmp_path):
    archive(tmp_path / "in")
    rows = complete(job_of(tmp_path / "in", tmp_path / "out"))
    written = [row["output_uri"].rpartition("/")[2] for row in rows if row["status"] == "ok"]
    assert sorted(name.partition(".")[2] for name in written) == ["dcm", "dcm", "nii"]
    assert all(len(name.partition(".")[0]) == 32 for name in written)
    restored = [pydicom.dcmread(tmp_path / "out" / name) for name in written if name.endswith(".dcm")]
    assert {str(each.PatientName) for each in restored} == {CANARY}


def test_ids_last_and_lead_back_to_the_images(tmp_path):
    files = archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    first = lasting(complete(job))
    planned, _ = plan_and_execute(job)
    assert (planned.done, planned.left) == (len(files), 0)
    assert lasting(complete(job_of(tmp_path / "in", tmp_path / "again")), also=("output_uri",)) == lasting(
        first, also=("output_uri",)
    )
    addresses = {address for _, address in resolve_ids(open_existing(str(tmp_path / "out")))}
    assert addresses == {str(tmp_path / "in" / CANARY / name) for name in files}


def test_another_key_is_refused_before_anything_is_done_again(tmp_path, monkeypatch):
    archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    complete(job)
    make_key(tmp_path / "other.key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other.key"))
    with pytest.raises(JobError, match=r"privacy\.hospital"):
        run.plan(open_run(job), run.Options(engine="local"))
    with pytest.raises(JobError, match=VARIABLE):
        list(resolve_ids(open_existing(str(tmp_path / "out"))))


def test_without_a_key_a_private_dataset_is_refused_with_the_cure(tmp_path, monkeypatch):
    archive(tmp_path / "in")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(JobError, match=r"datasets\[0\].*`restora key`") as refusal:
        run.plan(open_run(job_of(tmp_path / "in", tmp_path / "out")), run.Options(engine="local"))
    assert CANARY not in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "dataset"),
    [
        (StorageError, {"uri": f"/absent/{CANARY}"}),
        (JobError, {"pattern": f"*{CANARY}.jpg"}),
        (StorageError, {"profile": "archive"}),
    ],
    ids=["absent", "empty", "profile"],
)
def test_a_run_that_fails_tells_no_name(tmp_path, error, dataset):
    archive(tmp_path / "in")
    with pytest.raises(error, match="hospital") as failure:
        run.plan(
            open_run(job_of(tmp_path / "in", tmp_path / "out", dataset=dataset)), run.Options(engine="local")
        )
    assert CANARY not in str(failure.value)
    assert hits(tmp_path / "out") == []


def test_objects_that_cannot_be_read_tell_no_name(tmp_path):
    archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    options = run.Options(engine="local")
    planned = run.plan(open_run(job), options)
    for path in (tmp_path / "in").rglob("*.dcm"):
        path.unlink()
        path.mkdir()  # reading it fails with an error that names it
    run.execute(open_run(job), options, planned)
    run.compact(open_run(job))
    assert hits(tmp_path / "out") == []
    rows = pq.read_table(tmp_path / "out/_restora/tables/metrics.parquet").to_pylist()
    assert [row["reason"] for row in rows].count("READ_FAILED") == 4


@pytest.mark.parametrize("name", ["a.dcm", "b.DCM", "c.nii.gz", "deep/IM0001"])
def test_a_dataset_that_declares_nothing_is_refused_before_a_name_is_written(tmp_path, name):
    fill(tmp_path / "in", {"photo.png": encoded(photograph(0)), name: planted()})
    for declared in (None, False):
        dataset = {"name": "mixed", "uri": str(tmp_path / "in"), "private": declared}
        job = restore("", tmp_path / "out", datasets=[dataset])
        if declared is None:
            with pytest.raises(JobError, match="private = true"):
                run.plan(open_run(job), run.Options(engine="local"))
            assert not list((tmp_path / "out").rglob("*.parquet"))
        else:
            assert run.plan(open_run(job), run.Options(engine="local")).sources == 2


def test_medical_content_under_a_harmless_name_is_quarantined(tmp_path):
    fill(tmp_path / "in", {"photo.png": encoded(photograph(0)), "scan.png": planted()})
    rows = complete(restore(tmp_path / "in", tmp_path / "out", restorers=["identity"], quarantine=ANY_SHARE))
    assert [(row["key"], row["reason"]) for row in rows] == [("photo.png", None), ("scan.png", "NOT_PRIVATE")]


def test_every_column_is_either_allowed_or_withheld():
    assert set(COLUMNS.names) == ALLOWED_COLUMNS | WITHHELD, (
        "decide of a new column whether it may tell a name"
    )
    assert not ALLOWED_COLUMNS & WITHHELD


def test_sealed_jobs_open_with_their_key_alone(tmp_path, monkeypatch):
    job = job_of(tmp_path, tmp_path / "out", dataset={"pattern": f"{CANARY}*"})
    hidden = seal_job(job)
    assert CANARY not in hidden.model_dump_json()
    assert seal_job(hidden) == hidden == seal_job(job)
    key = load_key()
    assert key.reveal(hidden.datasets[0].uri) == str(tmp_path / CANARY)
    assert key.reveal(hidden.datasets[0].pattern) == f"{CANARY}*"
    with pytest.raises(JobError, match=VARIABLE):
        PrivacyKey(bytes(32)).reveal(hidden.datasets[0].uri)
    with pytest.raises(JobError, match="private = true"):
        Job.parse(hidden.model_dump() | {"datasets": [{"name": "x", "uri": hidden.datasets[0].uri}]})


def test_ids_are_the_hmac_of_their_parts():
    """By hand: HMAC-SHA256 under a key derived by HMAC-SHA256, each part after its length."""
    import hashlib
    import hmac

    derived = hmac.new(bytes(32), b"restora ids", hashlib.sha256).digest()
    message = b"\1\0\0\0\0\0\0\0a" + b"\2\0\0\0\0\0\0\0bc"
    expected = hmac.new(derived, message, hashlib.sha256).hexdigest()[:32]
    assert PrivacyKey(bytes(32)).id_of("a", "bc") == expected
    assert PrivacyKey(bytes(32)).id_of("ab", "c") != expected
    lengths = {len(PrivacyKey(bytes(32)).seal("x" * n)) for n in range(1, 64)}
    assert len(lengths) == 1, "a sealed name tells its length"


def test_a_key_is_its_owners_alone_and_never_overwritten(key):
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(JobError, match="is there already"):
        make_key(key)
    assert key.read_bytes() == before


def test_the_plan_holds_no_time_and_no_name(tmp_path):
    archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    run.plan(open_run(job), run.Options(engine="local"))
    opened = open_existing(job.output)
    for source in plan_files.read_sources(opened.folder):
        assert source.version == ""
        assert CANARY not in repr(source)
    assert CANARY.encode() not in opened.folder.read("job.json")
    assert opened.job == seal_job(job)
