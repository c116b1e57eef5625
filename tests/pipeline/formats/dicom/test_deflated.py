"""Deflated DICOM objects: inflated as far as the header allows."""

import io
import tracemalloc
import zlib

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from tests.dicom_samples import pydicom, samples

LIMITS = Limits(10_000_000)


def deflated(extra: int = 0) -> bytes:
    """A sample with so many zeros behind its pixels, deflated as one object."""
    plain = pydicom.dcmread(samples()["CT_small.dcm"])
    if extra:
        plain.add_new(0x7FE10011, "OB", bytes(extra))
    plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = io.BytesIO()
    pydicom.dcmwrite(file, plain)
    return file.getvalue()


def test_a_deflated_object_has_the_pixels_of_the_plain_one():
    plain = pydicom.dcmread(samples()["CT_small.dcm"]).pixel_array
    assert np.array_equal(np.squeeze(decode(deflated(), LIMITS).samples), plain)


def test_what_ends_early_is_truncated():
    whole = deflated()
    with pytest.raises(ImageError) as refusal:
        decode(whole[: len(whole) // 2], LIMITS)
    assert refusal.value.reason == "TRUNCATED"


def test_a_bomb_is_stopped_where_the_header_ends():
    small = deflated()
    meta = 144 + int.from_bytes(small[140:144], "little")
    body = zlib.decompress(small[meta:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    bomb = small[:meta] + packer.compress(body) + packer.compress(bytes(200 << 20)) + packer.flush()
    tracemalloc.start()
    with pytest.raises(ImageError, match="more than its header announces") as refusal:
        decode(bomb, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal.value.reason == "TOO_LARGE"
    assert peak < 150 << 20, f"{peak >> 20} MiB"
