"""DICOM: every sample file is read, and written again or refused for the expected reason."""

import io
import logging
import pickle
import struct
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom import HEADER, READ_ONLY, Dicom
from pipeline.image import Domain, Image, Metadata
from tests.dicom_samples import (
    NOT_READ,
    decoded,
    pydicom,
    restored,
    samples,
    why_not_written,
)

FORMAT = Dicom()
READABLE = [name for name in samples() if name not in NOT_READ]


def read(data: bytes) -> Image:
    return FORMAT.decode(data, Limits())


def refused(data: bytes, limits: Limits | None = None) -> ImageError:
    with pytest.raises(ImageError) as refusal:
        FORMAT.decode(data, limits or Limits())
    return refusal.value


def changed(name: str, **attributes: object) -> bytes:
    """A sample with other attributes; ``None`` removes one."""
    dataset = pydicom.dcmread(samples()[name])
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    pydicom.filewriter.correct_ambiguous_vr(dataset, True)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


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


@pytest.mark.parametrize("name", sorted(NOT_READ))
def test_what_cannot_be_read_is_refused_for_the_right_reason(name):
    data = samples()[name].read_bytes()
    assert FORMAT.recognises(data)
    assert refused(data).reason == NOT_READ[name]


@pytest.mark.parametrize("name", READABLE)
def test_every_sample_is_read_as_pydicom_reads_it_and_comes_back(name):
    data = samples()[name].read_bytes()
    assert FORMAT.recognises(data)
    image, expected = decoded(name), by_pydicom(io.BytesIO(data))
    dataset = pydicom.dcmread(samples()[name], force=True, stop_before_pixels=True)
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


def test_ringing_of_lossy_compression_around_padding_is_padding():
    lossy, lossless = decoded("693_J2KI.dcm"), decoded("693_UNCR.dcm")
    assert lossy.pixels_HWC.min() == -2971
    assert lossy.valid_HW is not None
    assert lossy.pixels_HWC[lossy.valid_HW].min() > -2000
    np.testing.assert_array_equal(lossless.valid_HW, lossless.pixels_HWC[:, :, 0] != -2000)


def test_an_image_of_padding_alone_is_refused():
    data = changed("CT_small.dcm", PixelData=np.full(128 * 128, -2000, "<i2").tobytes())
    assert refused(data).reason == "ALL_NODATA"


def test_values_beyond_the_stored_bits_are_clipped_on_writing():
    image = decoded("MR2_UNCR.dcm")
    out = FORMAT.encode(image.with_pixels(np.full_like(image.pixels_HWC, 60000)))
    assert pydicom.dcmread(io.BytesIO(out)).pixel_array.max() == 4095


@pytest.mark.parametrize(
    ("attributes", "reason", "keyword"),
    [
        ({"BitsStored": 8, "HighBit": 7}, "UNSUPPORTED_DTYPE", "BitsStored"),
        ({"BitsStored": 17}, "UNREADABLE", "BitsStored"),
        ({"Rows": None}, "UNREADABLE", "Rows"),
        ({"Rows": 129}, "TRUNCATED", "PixelData|ends"),
        ({"PixelData": b"\0" * 100}, "TRUNCATED", "PixelData"),
        ({"PixelData": None}, "NO_PIXELS", "PixelData"),
        ({"SamplesPerPixel": 2}, "UNREADABLE", "SamplesPerPixel"),
        ({"RescaleSlope": "1\\2"}, "BAD_GEOMETRY", "RescaleSlope"),
    ],
)
def test_broken_headers_are_refused_by_the_name_of_the_attribute(attributes, reason, keyword):
    error = refused(changed("CT_small.dcm", **attributes))
    assert error.reason == reason
    assert any(word in str(error) for word in keyword.split("|"))


def test_bits_above_the_stored_ones():
    stored = pydicom.dcmread(samples()["CT_small.dcm"]).pixel_array - np.int16(1000)
    twelve = {"BitsStored": 12, "HighBit": 11}
    zeros = changed("CT_small.dcm", PixelData=(stored & 0xFFF).astype("<u2").tobytes(), **twelve)
    np.testing.assert_array_equal(read(zeros).pixels_HWC[:, :, 0], stored)
    overlay = np.where(np.arange(128) % 2, 0x4000, 0).astype(np.uint16)
    drawn = changed("CT_small.dcm", PixelData=((stored & 0xFFF) | overlay).astype("<u2").tobytes(), **twelve)
    assert refused(drawn).reason == "UNSUPPORTED_DTYPE"


def test_an_encoding_that_nobody_reads_is_refused():
    dataset = pydicom.dcmread(samples()["JPEG2000.dcm"])
    for syntax in (pydicom.uid.MPEG2MPML, "1.2.3.4.5"):
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        file = io.BytesIO()
        pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=True)
        assert refused(file.getvalue()).reason == "UNSUPPORTED_TRANSFER_SYNTAX"


def test_the_limit_counts_the_pixels_of_all_frames():
    data = samples()["emri_small.dcm"].read_bytes()
    assert FORMAT.decode(data, Limits(max_pixels=64 * 64 * 10)).size == (64, 64, 10)
    assert refused(data, Limits(max_pixels=64 * 64 * 10 - 1)).reason == "TOO_LARGE"


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
)
def test_no_cut_file_is_read_in_part(name):
    data = samples()[name].read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data), force=True)
    # What lies behind the pixels may be missing: it is trailing padding, at most.
    end = data.rfind(b"\xfc\xff\xfc\xff") if "DataSetTrailingPadding" in dataset else len(data)
    for percent in range(0, 100, 10):
        reason = refused(data[: end * percent // 100]).reason
        assert reason in {"TRUNCATED", "UNREADABLE", "NO_PIXELS"}, percent


FUZZED = ["CT_small.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm", "SC_rgb_expb.dcm", "chrH32.dcm"]


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from([name for name in FUZZED if name in samples()]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6),
    in_header=st.booleans(),
)
def test_any_bytes_give_an_image_or_an_image_error(name, changes, in_header):
    data = bytearray(samples()[name].read_bytes())
    for place, change in changes:
        start = int(place * (min(len(data), 2000) if in_header else len(data)))
        data[start : start + len(change)] = change
    try:
        image = FORMAT.decode(bytes(data), Limits(max_pixels=1_000_000))
        FORMAT.encode(image)
    except ImageError:
        return
    assert image.pixels_HWC.dtype == image.domain.dtype
    assert image.domain.low < image.domain.high


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_random_bytes_are_refused(noise):
    assert isinstance(refused(bytes(128) + b"DICM" + noise), ImageError)


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
    assert isinstance(image.metadata.entries[HEADER], bytes)
    assert len(image.metadata.entries[HEADER]) < 20_000


def test_only_what_came_from_dicom_goes_there():
    plain = Image(np.zeros((4, 4, 1), np.uint8), Domain.of_integers("uint8"), Metadata("png"))
    with pytest.raises(ImageError, match=r"(?s)holds .* not .*; ") as refusal:
        FORMAT.encode(plain)
    assert refusal.value.reason == "UNENCODABLE"
    ct = decoded("CT_small.dcm")
    for wrong in (
        replace(ct, pixels_HWC=np.repeat(ct.pixels_HWC, 3, 2)),
        replace(
            ct,
            pixels_HWC=ct.pixels_HWC.astype(np.uint16),
            domain=replace(ct.domain, dtype="uint16"),
        ),
    ):
        with pytest.raises(ImageError, match=r"(?s)holds .* not .*; "):
            FORMAT.encode(wrong)
    with pytest.raises(ImageError) as refusal:
        FORMAT.encode(ct.with_pixels(np.zeros((200, 128, 1), np.int16)))
    assert refusal.value.reason == "BAD_GEOMETRY"


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("pipeline.formats.dicom_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    error = refused(samples()["CT_small.dcm"].read_bytes())
    assert error.reason == "UNREADABLE"
    assert "pip install 'restora[dicom]'" in str(error)


def test_libraries_stay_silent(caplog, recwarn):
    caplog.set_level(logging.DEBUG)
    for name in ("badVR.dcm", "MR_truncated.dcm", "SC_rgb_jpeg.dcm", "CT_small.dcm"):
        try:
            FORMAT.encode(read(samples()[name].read_bytes()))
        except ImageError:
            continue
    assert not caplog.records
    assert not recwarn.list
