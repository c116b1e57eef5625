"""DICOM: every sample file is read, and written again or refused for the expected reason."""

import io
import pickle
import struct
import warnings

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.dicom.entries import DICOM_HEADER, READ_ONLY
from pipeline.formats.dicom.format import Dicom
from pipeline.imaging.image import Image
from tests.dicom_samples import (
    NOT_READ,
    changed,
    decoded,
    parsed,
    pydicom,
    read,
    restored,
    samples,
    why_not_written,
)

FORMAT = Dicom()
LARGE = "color3d_jpeg_baseline.dcm"
"""120 frames: as long as all the others together."""
READABLE = [
    pytest.param(name, marks=[pytest.mark.long] * (name == LARGE))
    for name in samples()
    if name not in NOT_READ
]


def by_pydicom(source: object) -> np.ndarray:
    """Pixels of a file as pydicom reads them with GDCM where it can, HWC in stored polarity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(source, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        syntax = dataset.file_meta.TransferSyntaxUID
        plugin = "gdcm" if syntax.is_encapsulated and syntax != pydicom.uid.RLELossless else ""
        samples_ = pydicom.pixels.pixel_array(dataset, decoding_plugin=plugin)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            samples_ = pydicom.pixels.apply_color_lut(samples_, dataset)
    frames, colours = int(dataset.get("NumberOfFrames") or 1), 3 if samples_.shape[-1] == 3 else 1
    each = samples_.reshape(frames, dataset.Rows, dataset.Columns, colours)
    return np.concatenate(list(each), axis=-1)


def test_the_sample_set_is_whole():
    assert len(samples()) >= 159
    assert set(NOT_READ) < set(samples())


@pytest.mark.parametrize("name", READABLE)
def test_every_sample_is_read_as_pydicom_reads_it_and_comes_back(name):
    data = samples()[name].read_bytes()
    assert FORMAT.recognises(data)
    image, expected = decoded(name), by_pydicom(io.BytesIO(data))
    dataset = parsed(samples()[name])
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        expected = 2**dataset.BitsStored - 1 - expected
    np.testing.assert_array_equal(image.pixels_HWC, expected)
    assert image.pixels_HWC.dtype.name == image.domain.dtype
    assert image.to_unit().min() >= 0
    assert image.to_unit().max() <= 1

    if reason := why_not_written(name):
        with pytest.raises(ImageError) as refusal:
            FORMAT.encode(image)
        assert refusal.value.reason == image.metadata.entries[READ_ONLY][0] == reason
        return
    assert READ_ONLY not in image.metadata.entries
    written = FORMAT.encode(image)
    assert FORMAT.encode(image) == written, "the same image gave other bytes"
    np.testing.assert_array_equal(by_pydicom(io.BytesIO(written)), by_pydicom(io.BytesIO(data)))
    again = read(written)
    assert again.domain == image.domain
    np.testing.assert_array_equal(again.pixels_HWC, image.pixels_HWC)
    np.testing.assert_array_equal(again.valid_HW, image.valid_HW)


def test_ranges_and_units_come_from_the_header():
    ct = decoded("CT_small.dcm").domain
    assert (ct.low, ct.high, ct.limits, ct.rule) == (-32768, 32767, (-32768, 32767), "header")
    assert (ct.unit, ct.scales, ct.offsets) == ("HU", (1.0,), (-1024.0,))
    mr = decoded("MR2_UNCR.dcm").domain
    assert (mr.low, mr.high, mr.unit) == (0, 4095, "")
    assert mr.scales == pytest.approx((3.774114,), abs=1e-6)
    assert decoded("693_UNCR.dcm").domain.limits == (-8192, 8191)
    assert read(changed("CT_small.dcm", RescaleType="Hounsfield of somebody")).domain.unit == ""


def test_light_tissue_is_light_and_means_the_same():
    name = "RG3_UNCR.dcm"
    stored = pydicom.dcmread(samples()[name]).pixel_array
    rescaled = read(changed(name, RescaleSlope="2", RescaleIntercept="-5", RescaleType="OD"))
    np.testing.assert_array_equal(rescaled.pixels_HWC[:, :, 0], 1023 - stored)
    physical = rescaled.pixels_HWC[:, :, 0] * rescaled.domain.scales[0] + rescaled.domain.offsets[0]
    np.testing.assert_array_equal(physical, stored * 2.0 - 5)


def test_frames_of_a_grey_film_are_channels_and_come_back_in_order():
    dataset = pydicom.dcmread(samples()["MR_small.dcm"])
    frames = np.stack([dataset.pixel_array, dataset.pixel_array.T, dataset.pixel_array[::-1]])
    data = changed(
        "MR_small.dcm",
        SOPClassUID=pydicom.uid.UltrasoundMultiFrameImageStorage,
        NumberOfFrames=3,
        PixelData=frames.astype("<i2").tobytes(),
    )
    image = read(data)
    np.testing.assert_array_equal(image.pixels_HWC, np.moveaxis(frames, 0, 2))
    again = pydicom.dcmread(io.BytesIO(FORMAT.encode(image)))
    assert again.NumberOfFrames == 3
    np.testing.assert_array_equal(again.pixel_array, frames)


def padded(value: int, **attributes: object) -> tuple[np.ndarray, bytes]:
    """CT_small with a corner of ``value``; stored pixels and file."""
    stored = pydicom.dcmread(samples()["CT_small.dcm"]).pixel_array.copy()
    stored[:20, :30] = value
    return stored, changed("CT_small.dcm", PixelData=stored.astype("<i2").tobytes(), **attributes)


@pytest.mark.parametrize("factor", [1, 2])
def test_padding_is_not_valid_and_comes_back_exactly(factor):
    stored, data = padded(-2000)
    image = read(data)
    np.testing.assert_array_equal(image.valid_HW, stored != -2000)
    enlarged = np.repeat(np.repeat(image.pixels_HWC, factor, 0), factor, 1)
    spoilt = Image(
        np.where(enlarged == -2000, 77, enlarged + np.int16(1)), image.domain, image.metadata, image.valid_HW
    )
    out = pydicom.dcmread(io.BytesIO(FORMAT.encode(spoilt))).pixel_array
    expected = np.repeat(np.repeat(np.where(stored == -2000, -2000, stored + 1), factor, 0), factor, 1)
    np.testing.assert_array_equal(out, expected)


def test_a_range_of_padding_keeps_each_value():
    stored, data = padded(-1990, PixelPaddingRangeLimit=-1980)
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.PixelPaddingValue == -2000
    image = read(data)
    np.testing.assert_array_equal(image.valid_HW, stored != -1990)
    out = FORMAT.encode(image.with_pixels(image.pixels_HWC + np.int16(3)))
    np.testing.assert_array_equal(
        pydicom.dcmread(io.BytesIO(out)).pixel_array, np.where(stored == -1990, -1990, stored + 3)
    )


@pytest.mark.parametrize(
    ("value", "attributes", "beside"),
    [
        (-2000, {}, -1999),
        (-1990, {"PixelPaddingRangeLimit": -1980}, -1979),
        (32767, {"PixelPaddingValue": 32767}, 32766),
        (5, {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 5}, 6),
    ],
)
def test_what_a_model_made_is_no_padding(value, attributes, beside):
    stored, data = padded(value, **attributes)
    image = read(data)
    assert image.valid_HW is not None
    made = image.pixels_HWC.copy()
    made[30, 40] = made[0, 0]
    out = pydicom.dcmread(io.BytesIO(FORMAT.encode(image.with_pixels(made)))).pixel_array
    assert out[30, 40] == beside
    stored[30, 40] = beside
    np.testing.assert_array_equal(out, stored)


def test_ringing_of_lossy_compression_around_padding_is_padding():
    lossy, lossless = decoded("693_J2KI.dcm"), decoded("693_UNCR.dcm")
    assert lossy.pixels_HWC.min() == -2971
    assert lossy.valid_HW is not None
    assert lossy.pixels_HWC[lossy.valid_HW].min() > -2000
    np.testing.assert_array_equal(lossless.valid_HW, lossless.pixels_HWC[:, :, 0] != -2000)


def test_values_beyond_the_stored_bits_are_clipped_on_writing():
    image = decoded("MR2_UNCR.dcm")
    out = FORMAT.encode(image.with_pixels(np.full_like(image.pixels_HWC, 60000)))
    assert pydicom.dcmread(io.BytesIO(out)).pixel_array.max() == 4095


def test_files_without_a_preamble_are_recognised_with_care():
    whole = samples()["CT_small.dcm"].read_bytes()
    assert FORMAT.recognises(samples()["OT-PAL-8-face.dcm"].read_bytes())
    assert FORMAT.recognises(whole[132:])
    np.testing.assert_array_equal(read(whole[132:]).pixels_HWC, decoded("CT_small.dcm").pixels_HWC)
    for other in (b"", b"\x08\x00", bytes(200), b"II*\0" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(200)):
        assert not FORMAT.recognises(other)
    assert not FORMAT.recognises(struct.pack("<HHI", 8, 5, 4) + b"abcd" + bytes(20))


def test_images_travel_between_processes():
    image = restored("693_UNCR.dcm")
    again = pickle.loads(pickle.dumps(image))
    assert FORMAT.encode(again) == FORMAT.encode(image)
    assert isinstance(image.metadata.entries[DICOM_HEADER], bytes)
    assert len(image.metadata.entries[DICOM_HEADER]) < 20_000
