"""BIDS: images by what their names say, derivatives that the validator takes, and what is odd in either."""

import io
import json
from collections import Counter

import PIL.Image
import pytest
from skimage import data

from pipeline.doors import open_archive
from pipeline.doors.bids.archive import BESIDE, ELSEWHERE, FILTERED, MASKS, NAMELESS
from pipeline.doors.bids.names import BidsName
from pipeline.doors.bids.outlet import BidsOutlet
from pipeline.doors.bids.pixels import on_grid
from pipeline.errors import JobError
from pipeline.jobs.job import Dataset, Job
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.storage import folder as storage
from pipeline.storage.folder import Folder
from tests.bids_samples import dataset, problems, said, volume
from tests.canary import CANARY, hits
from tests.door_contract import (
    check_absent,
    check_door,
    check_kill_safe,
    check_losses_are_seen,
    check_many,
    listed,
)
from tests.helpers import complete, fill, plan_and_execute, restore

NAMES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/anat/sub-01_T2w.nii",
    "sub-02/ses-pre/func/sub-02_ses-pre_task-rest_run-1_bold.nii.gz",
    "sub-x2+a/anat/sub-x2+a_acq-fast_desc-ours_T1w.nii.gz",
)
ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


def archive_at(url, **store):
    told = {"name": "brains", "uri": str(url), "store": {"name": "bids"} | store}
    return open_archive(Dataset.model_validate(told), str(url))


def job_on(url, output, store=None, **fields) -> Job:
    told = {"name": "brains", "uri": str(url), "store": {"name": "bids"} | (store or {}), "private": False}
    return restore("", output, datasets=[told | fields.pop("dataset", {})], quarantine=ANY_SHARE, **fields)


def test_the_door_keeps_the_contract(tmp_path):
    def make(images):
        fill(tmp_path, images)
        return lambda: archive_at(tmp_path)

    check_door(make, volume, NAMES)
    check_absent(lambda: archive_at(tmp_path / "none"))


def test_a_large_dataset_is_listed_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    for sub in (f"sub-{number:02d}" for number in range(20)):
        (tmp_path / sub / "anat").mkdir(parents=True)
        for run in range(100):
            (tmp_path / sub / "anat" / f"{sub}_run-{run}_T1w.nii").touch()
    check_many(archive_at(tmp_path), 2000, 1 << 20)


@pytest.mark.parametrize(("key", "word"), [
    ("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_desc-restored_T1w.nii.gz"),
    ("sub-01/ses-a/func/sub-01_ses-a_task-x_desc-pre_bold.nii",
     "sub-01/ses-a/func/sub-01_ses-a_task-x_desc-prerestored_bold.nii"),
])  # fmt: skip
def test_names_say_what_was_done(key, word):
    name = BidsName.of(key)
    assert (name.key, name.described("restored").key) == (key, word)


@pytest.mark.parametrize("key", [
    "sub-01_T1w.nii", "sub-01/anat/sub-02_T1w.nii", "sub-01/anat/T1w.nii", "sub-01/anat/sub-01_copy-_T1w.nii",
    "sub-01/ses-a/anat/sub-01_T1w.nii", "sub-01/anat/sub-01_run-1_run-2_T1w.nii", "sub-01/anat/sub-01_T1w",
    "sub-01/anat/sub-01_ses-b_T1w.nii", "sub-01/anat/sub-01_T1w copy.nii", "../sub-01/anat/sub-01_T1w.nii",
])  # fmt: skip
def test_names_that_are_not_of_bids(key):
    assert BidsName.of(key) is None


@pytest.mark.parametrize(("store", "chosen"), [
    ({}, 8), ({"suffixes": ["T1w"]}, 2), ({"datatypes": ["anat"]}, 4), ({"entities": {"sub": "02"}}, 4),
    ({"entities": {"sub": ["01", "sub-02"], "run": "2"}}, 2), ({"suffixes": ["mask"]}, 1),
])  # fmt: skip
def test_images_are_chosen_by_what_their_names_say(tmp_path, store, chosen):
    dataset(tmp_path)
    fill(tmp_path, {"sub-01/anat/sub-01_mask.nii": b"m", "sub-01/anat/note.nii": b"n"})
    left_out: Counter[str] = Counter()
    entries = [each for page in archive_at(tmp_path, **store).pages("*", left_out) for each in page]
    assert len(entries) == chosen
    assert left_out[NAMELESS] == 1
    assert (left_out[ELSEWHERE], left_out[BESIDE]) == (5, 6)
    assert left_out[MASKS] == (0 if "mask" in str(store) else 1)
    assert left_out[FILTERED] == 9 - chosen - left_out[MASKS]


@pytest.mark.parametrize(("restorer", "factor"), [("median", 1), ("bicubic-x2", 2)])
def test_sidecars_count_in_the_pixels_of_the_result(tmp_path, restorer, factor):
    dataset(tmp_path / "raw")
    photograph = io.BytesIO()
    PIL.Image.fromarray(data.astronaut()[:48, :64]).save(photograph, "PNG")
    micro, bold = "sub-01/micr/sub-01_sample-A_SEM", "sub-01/func/sub-01_task-new_bold"
    told = {"PixelSize": [0.5, 0.25, 3], "PixelSizeUnits": "um"}
    lines = {"PhaseEncodingDirection": "j-", "EffectiveEchoSpacing": 0.0006, "ReconMatrixPE": 96}
    files = {f"{micro}.png": photograph.getvalue(), f"{micro}.json": json.dumps(told).encode()}
    files |= {
        f"{bold}.nii": volume(9),
        f"{bold}.json": json.dumps(lines | {"TotalReadoutTime": 0.057}).encode(),
    }
    fill(tmp_path / "raw", files)
    job = job_on(tmp_path / "raw", tmp_path / "out", {"suffixes": ["SEM", "bold"]}, restorers=[restorer])
    assert {row["status"] for row in complete(job)} == {"ok"}
    made = tmp_path / "out/sub-01"
    sidecar = json.loads((made / "micr/sub-01_sample-A_desc-restored_SEM.json").read_text())
    assert sidecar["PixelSize"] == [0.5 / factor, 0.25 / factor, 3]
    sidecar = json.loads((made / "func/sub-01_task-new_desc-restored_bold.json").read_text())
    assert (sidecar["EffectiveEchoSpacing"], sidecar["ReconMatrixPE"]) == (0.0006 / factor, 96 * factor)
    assert sidecar["TotalReadoutTime"] == 0.057


def test_fields_that_hold_of_no_other_grid_are_left_out():
    told = {"PixelSize": [1, 2], "EffectiveEchoSpacing": 0.5, "PhaseEncodingDirection": "k", "EchoTime": 3}
    assert on_grid(told, (8, 8), (8, 8)) == told
    assert on_grid(told, (9, 8), (4, 4)) == told | {"PixelSize": [2, 4]}  # no line of its plane
    assert on_grid(told, (8, 8), (9, 9)) == {"PhaseEncodingDirection": "k", "EchoTime": 3}
    assert on_grid({"PixelSize": "small"}, (8, 8), (16, 16)) == {"PixelSize": "small"}


def test_results_are_derivatives_that_the_validator_takes(tmp_path):
    dataset(tmp_path / "raw")
    job = job_on(tmp_path / "raw", tmp_path / "out")
    rows = complete(job)
    assert [row["status"] for row in rows] == ["ok"] * 8
    assert problems(tmp_path / "out") == []
    own = json.loads((tmp_path / "out/sub-01/anat/sub-01_desc-restored_T1w.json").read_text())
    assert (own["EchoTime"], own["Manufacturer"]) == (0.004, "Acme")
    assert own["Sources"] == ["bids:source:sub-01/anat/sub-01_T1w.nii"]
    assert own["Restora"]["restorer"] == "median"
    times = json.loads((tmp_path / "out/sub-02/func/sub-02_task-rest_desc-restored_bold.json").read_text())
    assert not times["SkullStripped"]
    assert (times["TaskName"], times["RepetitionTime"]) == ("rest", 2.0)
    assert (tmp_path / "out/sub-01/dwi/sub-01_dwi.bvec").read_bytes() == b"0 1\n0 0\n0 0\n"
    whole = json.loads((tmp_path / "out/dataset_description.json").read_text())
    assert (whole["DatasetType"], whole["GeneratedBy"][0]["Name"]) == ("derivative", "Restora")
    assert whole["SourceDatasets"] == [{"URL": f"file://{tmp_path}/raw"}]
    (tmp_path / "raw/sub-02/anat/sub-02_T1w.nii").write_bytes(volume(77))
    (tmp_path / "raw/sub-01/anat/sub-01_T1w.json").write_bytes(said(EchoTime=0.005))
    assert plan_and_execute(job)[0].left == 2, "an image, and one whose sidecar says something else"
    own = json.loads((tmp_path / "out/sub-01/anat/sub-01_desc-restored_T1w.json").read_text())
    assert own["EchoTime"] == 0.005


def test_killed_at_any_write_it_ends_the_same(tmp_path, monkeypatch):
    fill(tmp_path / "raw", {"sub-01/anat/sub-01_T1w.nii": volume(1), "T1w.json": b"no JSON"})

    def results():
        files = (each for each in (tmp_path / "out").rglob("*") if "_restora" not in each.parts)
        return {str(each): each.read_bytes() for each in sorted(files) if each.is_file()}

    assert check_kill_safe(job_on(tmp_path / "raw", tmp_path / "out"), results, monkeypatch) == 5


def test_sidecars_and_descriptions_that_are_lost_are_seen(tmp_path):
    fill(tmp_path / "raw", {"sub-01/anat/sub-01_T1w.nii": volume(1)})
    check_losses_are_seen(job_on(tmp_path / "raw", tmp_path / "out"))


def test_bad_images_are_rows_and_another_programs_dataset_is_not_touched(tmp_path):
    fill(tmp_path / "raw", {NAMES[0]: b"no image", NAMES[1]: volume(), NAMES[2]: b""})
    rows = complete(job_on(tmp_path / "raw", tmp_path / "out"))
    assert [row["reason"] for row in rows] == ["UNREADABLE", None, "EMPTY"]
    fill(tmp_path / "theirs", {"dataset_description.json": said(Name="theirs")})
    (tmp_path / "raw" / NAMES[0]).unlink()
    rows = complete(job_on(tmp_path / "raw", tmp_path / "theirs"))
    assert {row["reason"] for row in rows} == {"WRITE_FAILED", "EMPTY"}
    assert (tmp_path / "theirs/dataset_description.json").read_bytes() == said(Name="theirs")


def test_what_is_taken_back_leaves_nothing(tmp_path):
    outlet = BidsOutlet(Folder(str(tmp_path)), job_on("raw", tmp_path))
    keys = [f"sub-01/dwi/sub-01_desc-restored_dwi{end}" for end in (".nii.gz", ".json")]
    fill(tmp_path, dict.fromkeys(keys, b"x"))
    outlet.remove(None, keys[0])
    assert listed(Folder(str(tmp_path))) == []


def test_private_datasets_are_written_as_a_folder_and_tell_no_subject(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    for name in (f"sub-{CANARY}", "sub-other"):
        fill(
            tmp_path / "raw",
            {f"{name}/anat/{name}_T1w.nii": volume(1), f"{name}/anat/{name}_T1w.json": b"{}"},
        )
    store = {"entities": {"sub": CANARY}}
    (row,) = complete(job_on(tmp_path / "raw", tmp_path / "out", store, dataset={"private": True}))
    assert row["status"] == "ok"
    assert hits(tmp_path / "out") == []
    assert not (tmp_path / "out/dataset_description.json").exists()
    with pytest.raises(JobError, match="private"):
        plan_and_execute(
            job_on(tmp_path / "raw", tmp_path / "o", dataset={"private": True}, output_store="bids")
        )


@pytest.mark.parametrize(("fields", "said_of_it"), [
    ({"output_format": "png"}, 'output_store = "folder"'),
    ({"store": {"entities": {"Subject": "1"}}}, "short name"),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(tmp_path, fields, said_of_it):
    dataset(tmp_path / "raw", 1)
    store = fields.pop("store", None)
    with pytest.raises(JobError) as caught:
        plan_and_execute(job_on(tmp_path / "raw", tmp_path / "out", store, **fields))
    assert said_of_it in str(caught.value)
