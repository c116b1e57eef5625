"""Where a DICOM header ends: by walking its elements, for others hold bytes that look like pixel data."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file

from pipeline.formats import decode, encode
from pipeline.formats.dicom.format import Dicom

TAG = b"\xe0\x7f\x10\x00"


def with_icon_and_private_sequence(*, undefined: bool) -> bytes:
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    icon = Dataset()
    icon.Rows = icon.Columns = icon.BitsAllocated = 8
    icon.PixelData = TAG * 16
    icon["PixelData"].VR = "OB"
    dataset.IconImageSequence = Sequence([icon])
    item = Dataset()
    item.add_new(0x00091001, "OB", TAG * 5000)
    block = dataset.private_block(0x0009, "A VENDOR", create=True)
    block.add_new(0x20, "SQ", Sequence([item]))
    for keyword in (0x00880200, block.get_tag(0x20)):
        dataset[keyword].is_undefined_length = undefined
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


@pytest.mark.parametrize("undefined", [False, True])
def test_only_the_pixels_of_the_object_itself_end_its_header(undefined):
    data = with_icon_and_private_sequence(undefined=undefined)
    pixels = data.rindex(TAG)
    assert data.count(TAG) > 5000
    assert Dicom().ends_in(data)
    assert Dicom().ends_in(data[: pixels + 12])
    for share in (0.1, 0.3, 0.6, 0.99):
        assert not Dicom().ends_in(data[: int(pixels * share)]), share


def test_what_is_no_dicom_has_no_header_that_ends():
    assert not Dicom().ends_in(TAG * 100)
    assert not Dicom().ends_in(b"")


@pytest.mark.parametrize("count", [1, 2, 8, 512, 4097])
def test_zeros_behind_the_last_element_are_padding(count):
    data = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    dataset = pydicom.dcmread(io.BytesIO(data))
    del dataset[0xFFFCFFFC]  # so that the pixels are the last element
    file = io.BytesIO()
    dataset.save_as(file)
    padded = decode(file.getvalue() + bytes(count))
    whole = decode(file.getvalue())
    np.testing.assert_array_equal(padded.pixels_HWC, whole.pixels_HWC)
    assert encode(padded) == encode(whole)
