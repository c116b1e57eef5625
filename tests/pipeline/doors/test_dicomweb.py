"""DICOMweb: the contract, what servers do wrong, and whole runs, at a server here and at Orthanc."""

import io
import logging
from collections import Counter
from contextlib import suppress

import pytest

pytest.importorskip("dicomweb_client", reason="needs the extra dicomweb")

from pipeline import run
from pipeline.doctor import reach
from pipeline.doors import open_archive
from pipeline.doors.dicomweb import archive as listing
from pipeline.doors.dicomweb.archive import NO_PIXELS, OURS, DicomwebArchive
from pipeline.doors.dicomweb.profiles import VARIABLE, read_profile
from pipeline.doors.dicomweb.server import Server
from pipeline.errors import ImageError, JobError, StorageError
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Dataset, Quarantine
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import make_key
from pipeline.results.verify import verify
from pipeline.storage import folder as storage
from pipeline.storage.retrying import CONTACT_SECONDS, REQUEST_SECONDS
from tests import canary
from tests.dicomweb_samples import STUDY, pydicom, slice_of, uids_of
from tests.dicomweb_server import running_dicomweb
from tests.door_contract import Death, check_absent, check_door, check_many, listed
from tests.helpers import complete, metric_rows, plan_and_execute, restore
from tests.orthanc import IS_INSTALLED, PROFILE, running_orthanc

NAMES = (
    f"{STUDY}.7.dcm",
    f"{STUDY}.0.dcm",
    "2.25.339554312345678901234567890123456789012.dcm",
    f"1.2.{'3' * 60}.dcm",
)
"""UIDs short, long, with a zero, and out of a UUID."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv(CONTACT_SECONDS, "2")
    monkeypatch.setenv(REQUEST_SECONDS, "2")
    with running_dicomweb() as running:
        yield running


def archive_at(server, store=None, **fields) -> DicomwebArchive:
    store = {"name": "dicomweb"} | (store or {})
    return open_archive(Dataset(name="ct", uri=server.url, store=store, **fields), server.url)


def filled(server, series: int = 2, slices: int = 2):
    for number in range(series):
        for place in range(slices):
            server.put(slice_of(number, place, seed=number))


def job_on(server, output, store=None, **fields):
    dataset = {"name": "ct", "uri": server.url, "private": False} | fields
    dataset["store"] = {"name": "dicomweb"} | (store or {})
    kept = {"name": "dicomweb", "uri": server.url}
    return restore("", output, datasets=[dataset], output_store=kept)


def image_of(names, index):
    uid = names[0 if index == 99 else index].removesuffix(".dcm")
    return slice_of(1, index, instance=uid, seed=index)


def test_a_server_keeps_the_contract(server):
    def make(images):
        for data in images.values():
            server.put(data)
        return lambda: archive_at(server)

    check_door(make, lambda index: image_of(NAMES, index), NAMES)


def test_what_is_not_there_cannot_be_listed(server):
    server.url = server.url.replace("127.0.0.1:", "127.0.0.1:1")[:29].rstrip("/") + "9/x"
    check_absent(lambda: archive_at(server))


class Many(Server):
    """A large archive that takes no memory of its own."""

    def series(self, study, matching):
        return (("1.2", f"1.2.{number}") for number in range(20))

    def metadata(self, study, series):
        tags = {"00280010": {"vr": "US", "Value": [512]}}
        return [tags | {"00080018": {"vr": "UI", "Value": [f"{series}.{n}"]}} for n in range(50)]


def test_a_large_archive_is_listed_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    server = Many("http://nowhere", None)
    check_many(DicomwebArchive("", server, ((None, {}),), together=True, with_ours=False), 1_000, 1 << 19)


@pytest.mark.parametrize("pages", [True, False])
def test_series_are_listed_to_the_last_whether_or_not_a_server_knows_pages(server, monkeypatch, pages):
    from pipeline.doors.dicomweb import server as asked

    filled(server, 5, 1)
    server.pages = pages
    monkeypatch.setattr(asked, "PAGE", 2 if pages else 10)
    assert len(listed(archive_at(server))) == 5
    monkeypatch.setattr(asked, "PAGE", 2)
    if not pages:
        with pytest.raises(StorageError, match="the same one again"):
            listed(archive_at(server))


def test_filters_choose_series_and_reports_and_results_are_left_out(server):
    server.put(slice_of(0, 0))
    server.put(slice_of(1, 0, Modality="MR", StudyDate="20260131"))
    server.put(slice_of(2, 0, study=2, Modality="MR", BodyPartExamined="CHEST"))
    report = pydicom.dcmread(io.BytesIO(slice_of(3, 0)))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    made = pydicom.Dataset()
    made.Manufacturer = "Restora"
    server.put(slice_of(4, 0, ContributingEquipmentSequence=[made]))
    file = io.BytesIO()
    pydicom.dcmwrite(file, report)
    server.put(file.getvalue())

    def found(**store) -> set[str]:
        return {entry.key.split("/")[1].rpartition(".")[2] for entry in listed(archive_at(server, store))}

    left_out: Counter[str] = Counter()
    assert len([each for page in archive_at(server).pages("*", left_out) for each in page]) == 3
    assert left_out == {NO_PIXELS: 1, OURS: 1}
    assert found() == {"0", "1", "2"}
    assert found(derived=True) == {"0", "1", "2", "4"}
    assert found(modality="CT") == {"0"}
    assert found(modality=["CT", "MR"]) == {"0", "1", "2"}
    assert found(date="20260131") == {"1"}
    assert found(study=[f"{STUDY}.2"]) == {"2"}
    assert found(modality="MR", filters={"BodyPartExamined": "CHEST"}) == {"2"}
    with pytest.raises(JobError, match="no day"):
        restore(
            "",
            "out",
            datasets=[{"name": "a", "uri": server.url, "store": {"name": "dicomweb", "date": "31.01.2026"}}],
        )


def fails(status: int, times: int = 10**9, path: str = "", headers=(), body: bytes = b"<html>"):
    left = [times]

    def fault(method, asked):
        if path not in asked or not left[0]:
            return None
        left[0] -= 1
        return status, dict(headers), body

    return fault


def test_a_refused_password_is_said_at_once_and_the_cure_with_it(server):
    server.faults.append(fails(401))
    with pytest.raises(StorageError, match=r"cannot list .*401 Unauthorized; check the profile"):
        listed(archive_at(server))
    assert len(server.requests) == 1
    assert "401" in reach(server.url).message


def test_a_server_that_is_busy_is_asked_again_when_it_says(server):
    filled(server, 1, 1)
    server.faults.append(fails(429, 1, "/instances/", {"Retry-After": "1"}))
    archive = archive_at(server)
    (entry,) = listed(archive)
    assert archive.read(entry.at)
    assert sum("/instances/" in each for each in server.requests) == 2
    server.faults.append(fails(503, headers={"Retry-After": "60"}))
    with pytest.raises(StorageError, match="the server answered 503; 1 try"):
        listed(archive)


def test_what_is_no_dicomweb_server_is_not_asked_twice(server):
    server.faults.append(fails(200))
    with pytest.raises(StorageError, match="NotDicomweb"):
        listed(archive_at(server))
    assert len(server.requests) == 1
    with pytest.raises(JobError, match="no address of a DICOMweb server"):
        open_archive(Dataset(name="a", uri="s3://x", store="dicomweb"), "s3://x")


def test_half_a_message_is_no_image(server):
    filled(server, 1, 1)
    archive = archive_at(server)
    (entry,) = listed(archive)
    _, headers, body = server.answer(
        "GET", f"/dicom-web{archive.uri(entry.at).removeprefix(server.url)}", "", b""
    )
    server.faults.append(fails(200, 1, "/instances/", headers, body[: len(body) // 2]))
    assert archive.read(entry.at) == server.objects[uids_of(archive.read(entry.at))]
    server.faults.append(fails(200, path="/instances/", headers=headers, body=body[: len(body) // 2]))
    with pytest.raises(OSError, match="ends early"):
        archive.read(entry.at)


def test_a_series_that_the_server_fails_on_is_one_row_and_costs_no_other(server):
    filled(server, 2, 1)
    server.faults.append(fails(500, path=f"{STUDY}.1.0/metadata"))
    archive = archive_at(server)
    reasons = {}
    for entry in listed(archive):
        try:
            archive.read(entry.at)
        except ImageError as error:
            reasons[entry.key] = error.reason
    assert reasons == {f"{STUDY}.1/{STUDY}.1.0.dcm": "READ_FAILED"}


def test_a_series_that_changed_since_it_was_listed_is_not_read(server, monkeypatch):
    filled(server, 1, 2)
    archive = archive_at(server)
    entries = listed(archive)
    server.put(slice_of(0, 2))
    with pytest.raises(ImageError, match="another series") as caught:
        archive.read(entries[0].at)
    assert caught.value.reason == "CHANGED"
    alone = archive_at(server, series="single")
    before = listed(alone)
    server.put(slice_of(0, 3))
    assert all(alone.read(each.at) for each in before)
    monkeypatch.setattr(listing, "_BELIEVED", 0)
    server.objects.pop(uids_of(slice_of(0, 3)))
    server.put(slice_of(0, 0, WindowCenter=7))
    assert [each.key for each in before if each in listed(alone)] == [each.key for each in before[1:]]
    with pytest.raises(ImageError, match="another series"):
        alone.read(before[0].at)


def test_derived_series_are_stored_and_only_what_changed_is_done_again(server, tmp_path):
    filled(server)
    job = job_on(server, tmp_path / "out")
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert len(server.objects) == 8
    assert sorted(server.stored) == sorted(row["output_uri"].rpartition("/")[2] for row in rows)
    digests = {uids_of(data)[2]: sha256_hex(data) for data in server.objects.values()}
    assert all(digests[row["output_uri"].rpartition("/")[2]] == row["output_sha256"] for row in rows)
    assert not list(tmp_path.rglob("*.dcm"))
    server.put(slice_of(1, 2, seed=1))
    assert plan_and_execute(job)[0].left == 3
    assert len(complete(job)) == 5
    assert Counter(server.stored).most_common(1)[0][1] == 1
    lost = next(place for place in server.objects if place[2] == server.stored[0])
    del server.objects[lost]
    assert verify(open_run(job)).problem_count == 1
    plan_and_execute(job, repair=True)
    assert verify(open_run(job)).is_whole


def dying_after(store):
    def deadly(server, objects):
        store(server, objects)
        raise Death

    return deadly


def dying_before(store):
    def deadly(server, objects):
        raise Death

    return deadly


@pytest.mark.parametrize("dying", [dying_before, dying_after])
def test_killed_around_the_store_request_each_image_is_stored_once(server, tmp_path, monkeypatch, dying):
    filled(server, 1, 2)
    job = job_on(server, tmp_path / "out")

    with monkeypatch.context() as patch, suppress(Death):
        patch.setattr(Server, "store", dying(Server.store))
        plan_and_execute(job)
    assert not open_run(job).ledger.keys()
    assert len(complete(job)) == 2
    assert set(Counter(server.stored).values()) == {1}
    assert len(server.objects) == 4


def test_one_image_that_is_not_kept_quarantines_its_series_until_a_retry(server, tmp_path):
    filled(server)
    refused = {"00081155": {"vr": "UI", "Value": ["?"]}, "00081197": {"vr": "US", "Value": [42752]}}
    lenient = Quarantine(threshold=1, stop_share=1)
    job = job_on(server, tmp_path / "out").model_copy(update={"quarantine": lenient})

    def full(method, path):
        if method == "POST":
            return 409, {"Content-Type": "application/dicom+json"}, answer
        return None

    answer = b'{"00081198": {"vr": "SQ", "Value": [%s]}}' % str(refused).replace("'", '"').encode()
    server.faults.append(full)
    plan_and_execute(job)
    run.compact(open_run(job))
    assert {(row["status"], row["reason"], row["stage"]) for row in metric_rows(job)} == {
        ("quarantined", "WRITE_FAILED", "write")
    }
    server.faults.clear()
    assert {row["status"] for row in complete(job, retry=True)} == {"ok"}


def test_an_object_that_the_server_has_already_with_other_content_is_not_ok(server, tmp_path):
    filled(server, 1, 1)
    rows = complete(job_on(server, tmp_path / "out"))
    place = next(place for place in server.objects if place[2] == server.stored[0])
    made = pydicom.dcmread(io.BytesIO(server.objects[place]))

    def kept(made) -> None:
        file = io.BytesIO()
        pydicom.dcmwrite(file, made)
        server.objects[place] = file.getvalue()

    made.ContributingEquipmentSequence[-1].SoftwareVersions = "0.0.1, before an upgrade"
    kept(made)
    (row,) = complete(job_on(server, tmp_path / "upgraded"))
    assert row["output_sha256"] == sha256_hex(server.objects[place]) != rows[0]["output_sha256"]
    assert len(server.stored) == 1
    made.WindowCenter = 1
    kept(made)
    again = job_on(server, tmp_path / "again")
    plan_and_execute(again)
    run.compact(open_run(again))
    (row,) = metric_rows(again)
    assert (row["status"], row["reason"]) == ("quarantined", "WRITE_FAILED")
    assert "another object of this UID" in row["message"]
    assert rows[0]["status"] == "ok"


def test_nothing_names_a_patient_where_the_dataset_is_private(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("RESTORA_PRIVACY_KEY_FILE", str(tmp_path / "key"))
    make_key(tmp_path / "key")
    monkeypatch.setattr(canary, "CANARY", STUDY)
    filled(server)
    server.put(slice_of(8, 0))
    server.faults.append(fails(500, path=f"{STUDY}.1.8.0"))
    caplog.set_level(logging.INFO)
    store = {"study": f"{STUDY}.1", "filters": {"PatientID": "1CT1"}}
    job = job_on(server, tmp_path / "out", store, private=True)
    plan_and_execute(job)
    run.compact(open_run(job))
    rows = metric_rows(job)
    assert Counter(row["reason"] for row in rows) == {None: 4, "READ_FAILED": 1}
    assert canary.hits(tmp_path / "out") == []
    text = (tmp_path / "out/_restora/job.json").read_text()
    assert "1CT1" not in text
    assert STUDY not in caplog.text
    assert {uids_of(data)[0] for data in server.objects.values()} == {f"{STUDY}.1"}
    with pytest.raises(JobError, match="does not say whether they are private"):
        plan_and_execute(job_on(server, tmp_path / "undeclared", private=None))


def test_results_that_are_no_dicom_are_refused_and_so_is_an_output_without_a_server(server, tmp_path):
    filled(server, 1, 1)
    job = job_on(server, tmp_path / "out").model_copy(update={"output_format": "png"})
    plan_and_execute(job)
    run.compact(open_run(job))
    assert [row["reason"] for row in metric_rows(job)] == ["UNENCODABLE"]
    for kept, words in (
        ("dicomweb", "on which server"),
        ({"name": "dicomweb", "uri": "s3://x"}, "no address"),
    ):
        fields = {"datasets": [{"name": "a", "uri": server.url, "private": False}], "output_store": kept}
        with pytest.raises(JobError, match=words):
            open_run(restore("", tmp_path / "no", **fields))


def test_profiles_tell_what_is_wrong_and_never_what_is_in_them(tmp_path, monkeypatch):
    file = tmp_path / "dicomweb.toml"
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(JobError, match=r"there is no .*dicomweb\.toml"):
        read_profile("ward")
    file.write_text('[ward]\nuser = "u"\npasword = "hunter2"\n[both]\ntoken = "hunter2"\nuser = "u"\n')
    for name, words in (("ward", "pasword"), ("both", "user and password, or token"), ("wrd", "ward")):
        with pytest.raises(JobError, match=words) as caught:
            read_profile(name)
        assert "hunter2" not in str(caught.value)
    (tmp_path / "token").write_text("first\n")
    file.write_text(f'[ward]\ntoken_file = "{tmp_path}/token"\n')
    profile = read_profile("ward")
    assert profile.bearer() == "first"
    (tmp_path / "token").write_text("second\n")
    assert profile.bearer() == "second"


@pytest.mark.skipif(not IS_INSTALLED, reason="needs Orthanc and its plugin orthanc-dicomweb")
def test_orthanc_gives_its_series_and_keeps_the_derived_ones(tmp_path, monkeypatch):
    with running_orthanc(tmp_path) as orthanc:
        filled(orthanc)
        orthanc.put(slice_of(5, 0, Modality="MR"))
        monkeypatch.setenv(VARIABLE, str(orthanc.profiles))
        assert reach(orthanc.url, PROFILE).level == "ok"
        assert "401" in reach(orthanc.url).message
        job = job_on(
            orthanc, tmp_path / "out", {"modality": "CT", "date": "20040101-20041231"}, profile=PROFILE
        )
        job = job.model_copy(
            update={"output_store": job.output_store.model_copy(update={"profile": PROFILE})}
        )
        assert [row["status"] for row in complete(job)] == ["ok"] * 4
        made = [uids_of(data) for data in orthanc.objects()]
        assert len(made) == 9
        derived = Counter(series for _, series, _ in made if series.startswith("2.25."))
        assert sorted(derived.values()) == [2, 2]
        assert plan_and_execute(job)[0].left == 0
        again = job_on(orthanc, tmp_path / "again", profile=PROFILE).model_copy(
            update={"output_store": job.output_store}
        )
        with monkeypatch.context() as patch, suppress(Death):
            patch.setattr(Server, "store", dying_after(Server.store))
            plan_and_execute(again)
        assert len(complete(again)) == 5
        assert len(orthanc.objects()) == 10
    assert not any(
        b"a secret" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
