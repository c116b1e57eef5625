"""Masks and kernels that a job tells of its images, from end to end, and each that does not fit."""

import io
import json

import numpy as np
import pytest
import skimage.data
import torch
from torch import Generator

from models.kernel_estimation.blind import CONFIDENT
from models.operators.motion import MotionBlur
from pipeline.conditions.kernels import read_kernel
from pipeline.errors import FolderNotFound, ImageError, JobError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.report.attention import focus
from pipeline.report.sample import pick_samples
from pipeline.report.write import remade
from pipeline.results.tables import read_report_rows
from tests.canary import CANARY, hits
from tests.helpers import complete, decoded, encoded, fill, metric_rows, photograph, plan_and_execute

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}


def job(folder, restorer, **dataset) -> Job:
    source = {"name": "set", "uri": str(folder / "in")} | dataset
    return Job.parse(
        {"name": "t", "kind": "restore", "output": str(folder / "out"), "datasets": [source],
         "restorers": [restorer], "quarantine": ANY_SHARE}
    )  # fmt: skip


def array_file(values) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


def holes(height=32, width=40, top=10) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 6, 12:20] = 255
    return mask


def result(folder, key) -> np.ndarray:
    return decoded((folder / "out" / key).read_bytes())


def row_of(rows, key) -> dict:
    return next(row for row in rows if row["key"] == key)


def test_masks_by_key_fill_holes_and_a_changed_one_is_done_again_alone(tmp_path):
    photos = {f"{i}.png": encoded(np.where(holes()[..., None] > 0, 0, photograph(i))) for i in range(3)}
    fill(tmp_path / "in", photos)
    masks = fill(tmp_path / "masks", {f"{i}.png": encoded(holes()) for i in range(3)})
    described = job(tmp_path, "fast-marching-inpainting", mask={"uri": masks.url, "holes": "white"})
    rows = complete(described)
    for key in photos:
        restored, hole = result(tmp_path, key), holes() > 0
        assert np.array_equal(restored[~hole], decoded(photos[key])[~hole])
        assert not np.array_equal(restored[hole], decoded(photos[key])[hole])
        told = json.loads(row_of(rows, key)["condition"])["mask"]
        assert told == {"from": "uri", "sha256": sha256_hex(encoded(holes())), "holes": 0.0375}
    before = {row["key"]: row["source_id"] for row in rows}
    fill(masks.url, {"1.png": encoded(holes(top=20))})
    planned, _ = plan_and_execute(described)
    assert planned.left == 1
    rows = complete(described)
    assert {row["key"] for row in rows if row["source_id"] != before[row["key"]]} == {"1.png"}


def test_each_mask_that_does_not_fit_costs_its_own_row(tmp_path):
    fill(tmp_path / "in", {f"{i}.png": encoded(photograph(i)) for i in range(7)})
    good = encoded(holes())
    masks = {"0.png": good, "1.png": encoded(holes(31)), "2.png": encoded(holes() * 0 + 9),
             "4.png": b"", "4.tif": good, "5.png": good[:-30],
             "6.png": encoded(np.dstack([holes(), holes() * 0 + 255]))}  # fmt: skip
    fill(tmp_path / "masks", masks)
    rows = complete(
        job(tmp_path, "biharmonic-inpainting", mask={"uri": str(tmp_path / "masks"), "holes": "white"})
    )
    assert {row["key"]: row["reason"] for row in rows} == {
        "0.png": None, "1.png": "MASK_UNFIT", "2.png": "MASK_UNFIT", "3.png": "NO_MASK",
        "4.png": "MASK_UNFIT", "5.png": "MASK_UNFIT", "6.png": None}  # fmt: skip
    assert {row["stage"] for row in rows if row["reason"]} == {"condition"}
    assert not (tmp_path / "out" / "1.png").exists()


def test_one_mask_of_all_images_that_is_all_holes_is_refused_before_the_run(tmp_path):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0))})
    fill(tmp_path / "m", {"none.png": encoded(holes() * 0), "all.png": encoded(holes() * 0 + 255)})
    for name, colour in (("none", "black"), ("all", "white")):
        told = {"file": str(tmp_path / "m" / f"{name}.png"), "holes": colour}
        with pytest.raises(
            JobError, match=rf"datasets\[0\].mask: .*{name}.png: every pixel is a hole.*holes"
        ):
            plan_and_execute(job(tmp_path, "fast-marching-inpainting", mask=told))
    assert not (tmp_path / "out").exists()


def test_one_mask_a_rule_and_black_holes(tmp_path):
    fill(tmp_path / "in", {"a_photo.png": encoded(photograph(0)), "b.png": encoded(photograph(1))})
    fill(tmp_path / "m", {"a_mask.png": encoded(255 - holes())})
    rule = {"uri": str(tmp_path / "m"), "match": r"(?P<id>.+)_photo\.png", "key": "{id}_mask.png"}
    by_rule = complete(job(tmp_path, "fast-marching-inpainting", mask=rule))
    assert (by_rule[1]["reason"], by_rule[1]["message"]) == (
        "NO_MASK", "its key does not match the rule mask.match")  # fmt: skip
    file = str(tmp_path / "m/a_mask.png")
    fixed = job(tmp_path, "fast-marching-inpainting", mask=file).model_copy(
        update={"output": str(tmp_path / "2")}
    )
    by_file = complete(fixed)
    assert by_rule[0]["output_sha256"] == by_file[0]["output_sha256"]
    assert by_rule[0]["recipe_id"] != by_file[0]["recipe_id"]
    fill(tmp_path / "m", {"a_mask.png": encoded(255 - holes(top=3))})
    with pytest.raises(JobError, match="conditions"):
        plan_and_execute(fixed)


def test_transparent_pixels_are_filled_and_become_opaque(tmp_path):
    alpha = np.where(holes() > 0, 0, 255).astype(np.uint8)
    fill(tmp_path / "in", {"a.png": encoded(np.dstack([photograph(0), alpha]))})
    (row,) = complete(job(tmp_path, "fast-marching-inpainting", mask="alpha"))
    assert json.loads(row["condition"])["mask"] == {"from": "alpha", "holes": 0.0375}
    restored = result(tmp_path, "a.png")
    assert restored[..., 3].min() == 255
    assert np.abs(restored[..., :3].astype(int) - photograph(0))[holes() > 0].mean() < 40


def _nifti_without_data() -> bytes:
    from tests.nifti_samples import made

    volume = np.stack([photograph(each)[..., 0] for each in range(3)], axis=2).astype(np.float32)
    volume[holes() > 0, 1] = np.nan
    return made(volume)


def _geotiff_without_data() -> bytes:
    from tests.geotiff_samples import geotiff

    return geotiff(np.where(holes() > 0, 0, photograph(1).transpose(2, 0, 1).clip(1)), nodata=0)


def _dicom_without_data() -> bytes:
    from tests.dicom_samples import changed

    stored = photograph(1)[..., 0].astype(np.int16) * 4
    stored[holes() > 0] = -2000
    return changed("CT_small.dcm", PixelData=stored.tobytes(), Rows=32, Columns=40, PixelPaddingValue=-2000)


@pytest.mark.parametrize("told", ["nodata", "masks"])
@pytest.mark.parametrize(
    ("key", "made"),
    [("a.nii", _nifti_without_data), ("a.tif", _geotiff_without_data), ("a.dcm", _dicom_without_data)],
)
def test_pixels_without_data_that_are_holes_are_filled_and_written_as_data(tmp_path, key, made, told):
    pytest.importorskip({"a.nii": "nibabel", "a.tif": "rasterio", "a.dcm": "pydicom"}[key])
    fill(tmp_path / "in", {key: made()})
    fill(tmp_path / "masks", {"a.png": encoded(255 - holes())})
    mask = "nodata" if told == "nodata" else {"uri": str(tmp_path / "masks")}
    (row,) = complete(job(tmp_path, "fast-marching-inpainting", mask=mask, private=False))
    assert json.loads(row["condition"])["mask"]["holes"] == 0.0375
    before, after = (
        decode((tmp_path / folder / key).read_bytes(), Limits(10**6)) for folder in ("in", "out")
    )
    assert (before.valid_HW == (holes() == 0)).all()
    assert after.valid_HW is None or after.valid_HW.all()
    assert np.array_equal(after.pixels_HWC[holes() == 0], before.pixels_HWC[holes() == 0])


def test_broken_lines_are_found_in_each_image(tmp_path):
    photo = skimage.data.astronaut()[:128, :160]
    broken, dead = photo.copy(), photo.copy()
    broken[[20, 21, 40]] = 0
    dead[:, 33] = 255
    fill(tmp_path / "in", {"b.png": encoded(broken), "c.png": encoded(photo), "d.png": encoded(dead)})
    told = {"detect": ["scan_lines", "dead_columns"]}
    rows = complete(job(tmp_path, "fast-marching-inpainting", mask=told))
    shares = {row["key"]: json.loads(row["condition"])["mask"]["holes"] for row in rows}
    assert shares == {"b.png": 0.023438, "c.png": 0.0, "d.png": 0.00625}
    assert np.array_equal(result(tmp_path, "c.png"), photo)
    assert result(tmp_path, "d.png")[:, 33].mean() < 250


KERNEL = np.outer([1.0, 2.0, 1.0], [1.0, 2.0, 3.0, 2.0, 1.0]) / 36


def test_kernels_by_file_key_and_operator_undo_a_blur(tmp_path):
    import scipy.ndimage

    sharp = photograph(3, 48, 64).astype(float)
    blurred = scipy.ndimage.convolve(sharp, KERNEL[..., None], mode="reflect")
    photo = np.clip(np.round(blurred), 0, 255).astype(np.uint8)
    fill(tmp_path / "in", {"a.png": encoded(photo)})
    fill(tmp_path / "k", {"a.npy": array_file(KERNEL)})
    text = "\n".join(" ".join(map(str, row)) for row in KERNEL)
    (tmp_path / "k.txt").write_text(text)
    digests = set()
    for place, told in enumerate((str(tmp_path / "k"), str(tmp_path / "k.txt"), "gaussian_blur:sigma=0.9")):
        described = job(tmp_path, "wiener", operators=told)
        described = described.model_copy(update={"output": str(tmp_path / f"out{place}")})
        (row,) = complete(described)
        restored = decoded((tmp_path / f"out{place}" / "a.png").read_bytes()).astype(float)
        assert ((restored - sharp) ** 2).mean() < 0.5 * ((photo - sharp) ** 2).mean()
        told = json.loads(row["condition"])["operators"]
        digests.add(row["output_sha256"])
    assert told == [{"op": "gaussian_blur", "sigma": 0.9}]
    assert len(digests) == 2, "the file and the folder hold the same kernel"


@pytest.mark.parametrize(("values", "said"), [
    (KERNEL * 1.1, "sum to 1.1"), (KERNEL[:, :4], "3 x 4 values; both sides must be odd"),
    (np.full((3, 3), np.nan), "NaN"), (KERNEL[None, None], "4 axes"), (np.zeros((3, 3)), "sum to 0"),
    (np.stack([KERNEL, KERNEL[::-1], 2 * KERNEL], axis=-1), "3 channels that differ"),
    (np.zeros((0, 0)), "no values"), (np.zeros((3, 3, 0)), "no values"),
])  # fmt: skip
def test_what_is_no_kernel_is_refused_in_words(values, said):
    with pytest.raises(ImageError, match=said):
        read_kernel(array_file(values), "k.npy")


def test_kernels_of_text_and_images_are_brought_to_the_same_square():
    square = np.zeros((5, 5))
    square[1:4] = KERNEL
    whole = np.round(KERNEL * 36).astype(np.uint8)
    for data, key in ((encoded(whole), "k.png"), (b"1,2,3,2,1\n2,4,6,4,2\n1,2,3,2,1", "k.csv")):
        if key == "k.csv":
            with pytest.raises(ImageError, match="sum to 36"):
                read_kernel(data, key)
        else:
            np.testing.assert_allclose(read_kernel(data, key), square)
    marked = b"\xef\xbb\xbf" + b"0 1 0\r\n1 4 1\r\n0 1 0"  # as spreadsheets of Windows write it
    with pytest.raises(ImageError, match="sum to 8"):
        read_kernel(marked, "k.csv")
    for bad in (b"1 2\n3", b"\x93NUMPY", b""):
        with pytest.raises(ImageError, match="no "):
            read_kernel(bad, "k.txt" if bad[:1] == b"1" else "k.npy")


def test_an_operator_that_is_larger_than_an_image_is_a_kernel_that_does_not_fit(tmp_path):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0))})
    for restorer, told in (("wiener", "defocus:radius=60"), ("tikhonov", "gaussian_blur:sigma=9")):
        described = job(tmp_path, restorer, operators=told)
        described = described.model_copy(update={"output": str(tmp_path / restorer)})
        (row,) = complete(described)
        assert row["reason"] == "KERNEL_UNFIT"
        assert "the image only 32 x 40" in row["message"]


def test_a_kernel_larger_than_an_image_and_none_at_all_have_reasons(tmp_path):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0, 9, 40)), "b.png": encoded(photograph(1))})
    fill(tmp_path / "k", {"a.npy": array_file(np.full((11, 11), 1 / 121))})
    rows = complete(job(tmp_path, "wiener", operators=str(tmp_path / "k")))
    assert [row["reason"] for row in rows] == ["KERNEL_UNFIT", "NO_KERNEL"]


def test_a_blur_is_found_in_each_image_and_one_that_tells_none_is_left_as_it_is(tmp_path):
    sharp = skimage.data.camera()[128:384, 128:384]
    shake = MotionBlur(length=22, shake=0.006).drawn(Generator().manual_seed(41))
    unit = torch.from_numpy(sharp / 255.0).float()[None, None]
    blurred = (shake(unit, Generator()) * 255).round().byte().numpy()[0, 0]
    small = photograph(1)
    fill(tmp_path / "in", {"a.png": encoded(blurred), "b.png": encoded(small)})
    found, left = complete(job(tmp_path, "total-variation-deblurring", operators="blind"))
    told = json.loads(found["condition"])["operators"]
    assert (told["from"], told["side"]) == ("blind", 31)
    assert told["confidence"] >= CONFIDENT
    assert len(told["sha256"]) == 64
    restored = result(tmp_path, "a.png").astype(float)
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    error = min(((np.roll(restored, each, (0, 1)) - sharp)[20:-20, 20:-20] ** 2).mean() for each in shifts)
    assert error < 0.4 * ((blurred.astype(float) - sharp)[20:-20, 20:-20] ** 2).mean()
    assert (left["status"], json.loads(left["condition"])["operators"]["confidence"]) == ("ok", 0.0)
    assert "too few" in json.loads(left["condition"])["operators"]["left_as_it_is"]
    assert np.array_equal(result(tmp_path, "b.png"), small)


@pytest.mark.parametrize(("restorer", "told", "said"), [
    ("wiener", {}, r'"wiener" needs to know what blurred .*--kernel'),
    ("inpaint-gated", {}, r"needs to know which pixels are holes.*--mask"),
    ("median", {"mask": "nodata"}, r"datasets\[0\].mask: no restorer of the job takes it"),
    ("wiener", {"operators": "nowhere/k.npy"}, r"datasets\[0\].operators: .*not there"),
    ("wiener", {"operators": __file__}, r"operators: .*test_conditions.py: the kernel: UNREADABLE"),
    ("inpaint-gated", {"mask": __file__}, r"datasets\[0\].mask: .*test_conditions.py: the mask: UNREADABLE"),
    ("wiener", {"operators": "mtf:mtf=0.3"}, r"operators\[0\]: mtf: give scale too"),
    ("wiener", {"operators": "kernel_blur:values=3"}, r"operators\[0\]: kernel_blur: values must be rows"),
    ("wiener", {"operators": "defocus:radios=3"}, r"operators\[0\].*radius"),
    ("wiener", {"operators": "bicubic:scale=2"}, r"operators\[0\].scale: must be 1"),
    ("wiener", {"operators": "gaussian_noise:sigma=2"}, r"no blur of fixed parameters"),
    ("wiener", {"operators": [{"op": "gaussian_blur", "sigma": [1, 2]}]}, "a pair is a range"),
])  # fmt: skip
def test_what_cannot_be_told_is_refused_before_the_run(tmp_path, restorer, told, said):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0))})
    with pytest.raises(JobError, match=said):
        plan_and_execute(job(tmp_path, restorer, **told))


@pytest.mark.parametrize(("restorer", "told", "said"), [
    ("wiener", {"operators": "blnd"}, "no such folder.*; no folder: blind, .*defocus:radius=3"),
    ("inpaint-gated", {"mask": "nodta"}, "no such folder.*; no folder: nodata, alpha, .*or a file"),
])  # fmt: skip
def test_a_word_that_is_none_of_theirs_is_told_which_there_are(tmp_path, restorer, told, said):
    fill(tmp_path / "in", {"a.png": encoded(photograph(0))})
    with pytest.raises(FolderNotFound, match=said):
        plan_and_execute(job(tmp_path, restorer, **told))


def test_several_detectors_are_told_in_one_word(tmp_path):
    told = job(tmp_path, "inpaint-gated", mask="scan_lines,dead_columns").datasets[0].mask
    assert told.detect == ("scan_lines", "dead_columns")


@pytest.mark.parametrize(("told", "said"), [
    ({"mask": {}}, "give one of"), ({"mask": {"own": "nodata", "file": "m.png"}}, "file and own"),
    ({"mask": {"uri": "m", "match": "(?P<id>.+)"}}, "go together"),
    ({"mask": {"uri": "m", "match": "(?P<id>.+)", "key": "{name}.png"}}, "groups of match are {id}"),
])  # fmt: skip
def test_what_is_no_rule_is_refused_by_path(tmp_path, told, said):
    with pytest.raises(JobError, match=said) as error:
        job(tmp_path, "wiener", **told)
    assert "datasets[0].mask" in str(error.value)


def test_private_masks_leave_no_name_anywhere(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    place = tmp_path / CANARY
    fill(place / "in", {f"{CANARY}.png": encoded(photograph(0)), "b.png": encoded(photograph(1))})
    fill(place / "m", {f"{CANARY}.png": encoded(holes())})
    from flows.addresses import absolute

    described = job(tmp_path, "fast-marching-inpainting", uri=str(place / "in"), private=True,
                    mask={"uri": str(place / "m"), "holes": "white"})  # fmt: skip
    rows = complete(absolute(described))
    assert sorted(str(row["reason"]) for row in rows) == ["NO_MASK", "None"]
    written = tmp_path / "out" / "_restora"
    assert hits(written) == []
    assert open_run(absolute(described)).job.datasets[0].mask.uri.startswith("sealed:")
    assert metric_rows(absolute(described))


def test_pictures_of_the_report_are_restored_under_the_masks_of_the_run(tmp_path):
    photo = np.where(holes()[..., None] > 0, 0, photograph(1))
    fill(tmp_path / "in", {"1.png": encoded(photo)})
    masks = fill(tmp_path / "masks", {"1.png": encoded(holes())})
    described = job(tmp_path, "fast-marching-inpainting", mask={"uri": masks.url, "holes": "white"})
    complete(described)
    run = open_run(described)
    table = read_report_rows(run)
    (sample,) = remade(run, table, pick_samples(table, focus(run.job.metrics))[:1])
    (shown,) = sample.restored.values()
    assert np.array_equal(shown, result(tmp_path, "1.png"))
