"""Runs on an S3 endpoint on loopback: the same guarantees, and clear errors for wrong buckets and keys."""

import uuid
from collections import Counter

import pytest
import s3fs

from pipeline import run
from pipeline.errors import StorageError
from pipeline.hashing import sha256_hex
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.results.object_check import object_fault
from pipeline.storage.folder import Folder
from pipeline.storage.s3 import ExactS3
from pipeline.worker.worker import Worker
from tests.helpers import (
    benchmark,
    complete,
    encoded,
    fill,
    lasting,
    photograph,
    photographs_in,
    plan_and_execute,
    restore,
)
from tests.moto_s3 import new_bucket


@pytest.fixture
def bucket(s3):
    return new_bucket()


KEYS = [
    "plain.png",
    "with space.png",
    "d\u00e9j\u00e0 vu/\u5199\u771f.png",
    "_leading/x.png",
    "a/b/c.png",
    "50%.png",
    "a+b=c.png",
]


def test_objects_of_every_key_are_put_listed_and_read(bucket):
    folder = fill(f"{bucket}/below", {key: key.encode() for key in KEYS})
    entries = [entry for page in folder.pages() for entry in page]
    assert [entry.key for entry in entries] == sorted(KEYS)
    for entry in entries:
        assert folder.read(entry.key) == entry.key.encode()
        assert entry.size == len(entry.key.encode())
    folder.delete("plain.png")
    assert not folder.exists("plain.png")
    folder.delete("plain.png")


def test_the_checksum_that_came_with_an_object_is_kept_and_stands_for_reading_it(bucket, tmp_path):
    folder, path = Folder(bucket), tmp_path / "file"
    path.write_bytes(b"two")
    folder.put("a", b"one")
    folder.put_file("b", path)
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(folder.uri("c"), b"one")
    assert folder.kept("a") == (sha256_hex(b"one"), 3)
    assert folder.kept("b") == (sha256_hex(b"two"), 3)
    assert folder.kept("c") is None, "whoever wrote it sent no SHA-256"
    wanted = ("a", "b", "c", "gone")
    for reads in (False, True):
        faults = [object_fault(folder, key, sha256_hex(b"one"), 3, reads=reads) for key in wanted]
        assert faults[::2] == [None, None]
        assert faults[1] == "b: its SHA-256 is not that of the ledger"
        assert faults[3] == "gone: the object is missing"


def test_a_store_that_is_said_to_know_no_checksums_is_sent_none(bucket, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    ExactS3.clear_instance_cache()
    folder = Folder(f"{bucket}/other")
    try:
        folder.put("a", b"one")
        assert folder.kept("a") is None
        assert object_fault(folder, "a", sha256_hex(b"one"), 3, reads=False) is None
    finally:
        ExactS3.clear_instance_cache()


def test_the_version_is_the_content_so_that_an_upload_of_the_same_changes_nothing(bucket):
    folder = Folder(bucket)
    folder.put("a", b"one")
    (first,) = next(folder.pages())
    folder.put("a", b"one")
    assert next(folder.pages())[0].version == first.version
    folder.put("a", b"two")
    assert next(folder.pages())[0].version != first.version


def test_a_benchmark_in_a_bucket_has_the_rows_of_one_on_disk(bucket, tmp_path):
    local, remote = photographs_in(tmp_path / "in", 5), photographs_in(f"{bucket}/in", 5)
    here = complete(benchmark(local.url, tmp_path / "out", save="all"))
    there = complete(benchmark(remote.url, f"{bucket}/out", save="all"))
    place = ("source_uri", "output_uri", "degraded_uri")
    assert lasting(here, also=place) == lasting(there, also=place)
    assert all(row["output_uri"].startswith(f"{bucket}/out/objects/") for row in there)


def test_a_second_run_in_a_bucket_does_nothing_and_changes_are_noticed(bucket):
    folder = photographs_in(f"{bucket}/in", 4)
    job = restore(folder.url, f"{bucket}/out")
    complete(job)
    assert plan_and_execute(job)[0].left == 0
    folder.put("0001.png", encoded(photograph(70)))
    folder.delete("0003.png")
    planned, _ = plan_and_execute(job)
    assert (planned.sources, planned.left, planned.removed) == (3, 1, 2)
    complete(job)


def test_a_wrong_source_bucket_stops_before_anything_is_done(s3, tmp_path):
    job = benchmark(f"s3://no-such-{uuid.uuid4().hex[:8]}/in", tmp_path / "out")
    with pytest.raises(StorageError, match=r"cannot list s3://no-such-.*: no such folder; check the address"):
        plan_and_execute(job)
    assert open_run(job).ledger.keys() == []


def test_a_wrong_output_bucket_is_a_clear_error(s3, tmp_path):
    photographs_in(tmp_path / "in", 1)
    job = benchmark(tmp_path / "in", f"s3://no-such-{uuid.uuid4().hex[:8]}/out")
    with pytest.raises(StorageError, match=r"output: cannot use s3://no-such-"):
        plan_and_execute(job)


def test_an_empty_prefix_is_a_clear_error(bucket, tmp_path):
    with pytest.raises(ValueError, match=r"nothing-here"):
        plan_and_execute(benchmark(f"{bucket}/nothing-here", tmp_path / "out"))


def test_missing_credentials_stop_the_run_before_anything_is_quarantined(bucket, tmp_path, monkeypatch):
    photographs_in(f"{bucket}/in", 1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    without_cached_connections(monkeypatch)
    job = benchmark(f"{bucket}/in", tmp_path / "out")
    with pytest.raises(StorageError, match=r"cannot list .*[Cc]redential"):
        run.plan(open_run(job), run.Options(engine="local"))
    assert open_run(job).ledger.keys() == []


def test_credentials_come_from_a_named_profile(bucket, tmp_path, monkeypatch):
    photographs_in(f"{bucket}/in", 2)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[archive]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    sets = [{"name": "photos", "uri": f"{bucket}/in", "profile": "archive"}]
    rows = complete(benchmark("", f"{bucket}/out", datasets=sets, output_profile="archive", save="restored"))
    assert len(rows) == 4
    with pytest.raises(StorageError, match="nobody"):
        list(Folder(f"{bucket}/in", "nobody").pages())


def without_cached_connections(monkeypatch) -> None:
    """s3fs keeps a connection per address, made with the credentials of the first call."""
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "cachable", False)
    s3fs.S3FileSystem.clear_instance_cache()


def test_half_of_a_lost_ledger_is_made_again(bucket):
    folder = photographs_in(f"{bucket}/in", 6)
    job = benchmark(folder.url, f"{bucket}/out", save="restored", resources={"unit_images": 1})
    rows = complete(job)
    opened = open_run(job)
    for key in opened.ledger.keys()[::2]:
        opened.folder.delete(key)
    planned, _ = plan_and_execute(job)
    assert (planned.done, planned.left) == (3, 3)
    assert lasting(complete(job)) == lasting(rows)


@pytest.fixture
def requests(monkeypatch):
    """(method, what the key is) of every HTTP request to the endpoint."""
    from aiobotocore.httpsession import AIOHTTPSession

    sent, send = [], AIOHTTPSession.send

    async def noted(self, request):
        path = request.url.split("?")[0]
        known = ("attempts", "ledger", "in", "out")
        sent.append((request.method, next((each for each in known if f"/{each}/" in path), path)))
        return await send(self, request)

    monkeypatch.setattr(AIOHTTPSession, "send", noted)
    return sent


def test_an_image_costs_a_get_and_a_put_and_a_unit_two_requests(bucket, requests):
    job = restore(photographs_in(f"{bucket}/in", 8).url, f"{bucket}/out", resources={"unit_images": 4})
    opened = open_run(job)
    run.plan(opened, run.Options(engine="local"))
    requests.clear()
    worker = Worker(opened)
    assert len(list(worker.stream(plan_files.read_units(opened.folder)))) == 2
    read = [each for each in requests if each[1] not in ("in", "attempts", "ledger") and each[0] != "PUT"]
    images = [each for each in requests if each not in read]
    assert Counter(images) == {
        ("GET", "in"): 8,
        ("PUT", "out"): 8,
        ("PUT", "attempts"): 2,
        ("PUT", "ledger"): 2,
    }, "the plan's file alone is read besides"
    assert all("out" in place for _, place in read)


def test_what_is_created_is_never_replaced_and_what_is_deleted_need_not_be_there(bucket, requests):
    folder = Folder(f"{bucket}/out")
    requests.clear()
    assert folder.create("a", b"1")
    assert not folder.create("a", b"2")
    folder.delete("absent")
    assert folder.read("a") == b"1"
    assert [method for method, _ in requests] == ["PUT", "PUT", "DELETE", "GET"]
    folder.delete_all(["a", "absent"])
    assert folder.keys("") == []


def test_a_store_without_conditional_puts_is_looked_at_first(bucket, monkeypatch):
    """As endpoints do that know no ``If-None-Match``."""
    folder = Folder(f"{bucket}/run")
    folder.put("x", b"")
    put = s3fs.S3FileSystem.pipe_file

    def older(self, path, data=None, mode="overwrite", **options):
        if mode == "create":
            raise OSError(22, "A header you provided implies functionality that is not implemented.")
        return put(self, path, data, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "pipe_file", older)
    assert folder.create("a", b"first")
    assert not folder.create("a", b"second")
    assert folder.read("a") == b"first"
