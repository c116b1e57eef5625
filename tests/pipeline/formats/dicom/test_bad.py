"""DICOM objects that are broken, cut, too large or of no use: each with its reason, and silently."""

import io
import logging
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom.format import Dicom
from pipeline.imaging.image import Domain, Image, Metadata
from tests.dicom_samples import (
    NOT_READ,
    changed,
    decoded,
    pydicom,
    read,
    refused,
    samples,
)

FORMAT = Dicom()


@pytest.mark.parametrize("name", sorted(NOT_READ))
def test_what_cannot_be_read_is_refused_for_the_right_reason(name):
    data = samples()[name].read_bytes()
    assert FORMAT.recognises(data)
    assert refused(data).reason == NOT_READ[name]


def test_an_image_of_padding_alone_is_refused():
    data = changed("CT_small.dcm", PixelData=np.full(128 * 128, -2000, "<i2").tobytes())
    assert refused(data).reason == "ALL_NODATA"


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
        ({"NumberOfFrames": 0}, "UNREADABLE", "NumberOfFrames"),
        ({"NumberOfFrames": -1}, "UNREADABLE", "NumberOfFrames"),
        ({"NumberOfFrames": 3}, "TRUNCATED", "PixelData"),
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
    for name in [name for name in sys.modules if name.startswith("pipeline.formats.dicom.")]:
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
