"""Frames of DICOM objects and times of NIfTI files: each a file that says what it is of, to the bit."""

import io
import json

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, Limits, decode
from pipeline.formats.paged import count_pages, read_pages
from pipeline.privacy.key import VARIABLE, make_key
from pipeline.storage.folder import Folder
from tests.dicom_samples import changed, pydicom, samples, with_provenance
from tests.helpers import complete, restore
from tests.nifti_samples import made, nibabel, opened, unscaled

DICOM = (
    "SC_rgb_2frame.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "OBXXXX1A_expb_2frame.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "rtdose.dcm",
)


@pytest.mark.parametrize("name", DICOM)
def test_every_frame_is_an_object_to_the_bit(name):
    data = samples()[name].read_bytes()
    whole, (count, ending) = decode(data, Limits()), count_pages(io.BytesIO(data))
    assert (count, ending) == (pydicom.dcmread(io.BytesIO(data)).NumberOfFrames, ".dcm")
    pages = read_pages(data, Limits())
    for number in range(count):
        page = decode(pages[number], Limits())
        channels = page.size[2]
        expected = whole.pixels_HWC[..., number * channels : (number + 1) * channels]
        np.testing.assert_array_equal(page.pixels_HWC, expected)
        assert page.domain == whole.domain
        header = pydicom.dcmread(io.BytesIO(pages[number]))
        assert (header.NumberOfFrames, header.InstanceNumber) == (1, number + 1)


def clip(count=4, **attributes):
    """An ultrasound clip out of one photograph of a head, moved; its frames FHW."""
    still = pydicom.dcmread(samples()["MR_small.dcm"]).pixel_array
    frames = np.stack([np.roll(still, number, axis=1) for number in range(count)])
    return frames, changed(
        "MR_small.dcm",
        SOPClassUID=pydicom.uid.UltrasoundMultiFrameImageStorage,
        NumberOfFrames=count,
        FrameIncrementPointer=pydicom.tag.Tag("FrameTimeVector"),
        FrameTimeVector=[0, *range(40, 40 + count - 1)],
        RepresentativeFrameNumber=count,
        PixelData=frames.astype("<i2").tobytes(),
        **attributes,
    )


def test_what_is_derived_of_a_frame_refers_to_it():
    _, data = clip()
    source, pages = pydicom.dcmread(io.BytesIO(data)), read_pages(data, Limits())
    page = pydicom.dcmread(io.BytesIO(pages[2]))
    assert page.FrameTimeVector == 41
    assert "RepresentativeFrameNumber" not in page
    derived = [
        pydicom.dcmread(io.BytesIO(FORMATS["dicom"].encode(with_provenance(decode(pages[n], Limits())))))
        for n in (1, 2)
    ]
    (reference,) = derived[1].SourceImageSequence
    named = (
        reference.ReferencedSOPClassUID,
        reference.ReferencedSOPInstanceUID,
        reference.ReferencedFrameNumber,
    )
    assert named == (source.SOPClassUID, source.SOPInstanceUID, 3)
    assert "FrameExtractionSequence" not in derived[1]
    assert derived[0].SOPInstanceUID != derived[1].SOPInstanceUID
    assert derived[0].SeriesInstanceUID == derived[1].SeriesInstanceUID != source.SeriesInstanceUID
    # One that a server extracted is an object in its own right.
    page.SOPInstanceUID = "1.2.3.4"
    file = io.BytesIO()
    page.save_as(file)
    own = pydicom.dcmread(io.BytesIO(FORMATS["dicom"].encode(decode(file.getvalue(), Limits()))))
    assert own.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert "ReferencedFrameNumber" not in own.SourceImageSequence[0]


@pytest.mark.parametrize("private", [False, True])
def test_the_frames_of_a_clip_are_a_scene(tmp_path, monkeypatch, private):
    make_key(tmp_path / "privacy.key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "privacy.key"))
    frames, data = clip()
    cut = data[: data.rindex(frames[3].astype("<i2").tobytes()) + 100]
    Folder(str(tmp_path / "in")).put("IM_0001", data)  # as archives name them
    Folder(str(tmp_path / "in")).put("cut.dcm", cut)
    dataset = {"name": "clips", "uri": str(tmp_path / "in"), "private": private}
    dataset["group"] = {"match": "pages", "around": 1, "damaged": "leave out"}
    rows = complete(
        restore(tmp_path / "in", tmp_path / "out", datasets=[dataset], restorers=["temporal-median"])
    )
    assert sorted(row["reason"] or "ok" for row in rows) == ["TRUNCATED", *["ok"] * 7]
    told = sorted(json.loads(row["condition"])["frames"] for row in rows if row["status"] == "ok")
    assert told == [2, 2, 2, 2, 3, 3, 3]
    written = [pydicom.dcmread(each) for each in (tmp_path / "out").rglob("*.dcm") if each.is_file()]
    numbers = [each.SourceImageSequence[0].ReferencedFrameNumber for each in written]
    assert sorted(numbers) == [1, 1, 2, 2, 3, 3, 4]
    if not private:
        assert {row["key"] for row in rows} >= {"IM_0001/page-0001.dcm", "cut.dcm/page-0004.dcm"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_time_of_a_series_is_a_volume_of_one_range(order):
    samples_HWst = np.arange(6 * 5 * 3 * 4, dtype=np.int16).reshape(6, 5, 3, 4)
    data = made(samples_HWst, order, scl_slope=-0.5, scl_inter=3)
    assert count_pages(io.BytesIO(data)) == (4, ".nii")
    pages = read_pages(data, Limits())
    images = [decode(pages[number], Limits()) for number in range(4)]
    for number, image in enumerate(images):
        np.testing.assert_array_equal(unscaled(opened(pages[number])), samples_HWst[..., number])
        assert image.domain.low == images[0].domain.low
        assert (image.domain.low, image.domain.high) == (0, samples_HWst.max())
        again = opened(FORMATS["nifti"].encode(image))
        np.testing.assert_array_equal(unscaled(again), samples_HWst[..., number])
    assert isinstance(opened(pages[0]), nibabel.Nifti1Image)


def test_vectors_are_no_times_and_a_header_that_lies_is_one_image():
    vectors = made(np.zeros((4, 4, 2, 1, 3), np.float32))
    assert count_pages(io.BytesIO(vectors)) == (1, ".nii")
    assert count_pages(io.BytesIO(changed("CT_small.dcm", NumberOfFrames=-3))) == (1, ".dcm")
    with pytest.raises(ImageError) as refusal:
        count_pages(io.BytesIO(changed("CT_small.dcm", NumberOfFrames=5000)))
    assert refusal.value.reason == "TOO_LARGE"
