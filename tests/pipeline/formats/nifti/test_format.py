"""NIfTI: samples, ranges, types and bad input; nibabel is the referee."""

import gzip
import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.formats.nifti.head import NIFTI_HEADER
from pipeline.imaging.image import Domain, Image, Metadata
from tests.nifti_samples import (
    CIFTI,
    FORMAT,
    SAMPLES,
    enlarged,
    made,
    nibabel,
    opened,
    read,
    refused,
    unscaled,
)


def test_the_sample_set_is_whole():
    assert {"anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "functional.nii"} <= set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_those_that_nibabel_reads_and_come_back_byte_for_byte(name):
    data = SAMPLES[name].read_bytes()
    image, volume = read(data), opened(data)
    stored = unscaled(volume)
    np.testing.assert_array_equal(
        image.pixels_HWC, stored.reshape(*stored.shape[:2], -1, order="F").astype(image.domain.dtype)
    )
    assert image.domain.dtype == stored.dtype.newbyteorder("=").name
    if image.domain.scales:
        np.testing.assert_allclose(
            image.pixels_HWC * image.domain.scales[0] + image.domain.offsets[0],
            np.asarray(volume.dataobj).reshape(image.size, order="F"),
            rtol=1e-5,
        )
    written = FORMAT.encode(image)
    assert FORMAT.encode(image) == written
    same = [gzip.decompress(each) if name.endswith(".gz") else each for each in (written, data)]
    assert same[0] == same[1]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"])
def test_every_type_in_both_byte_orders(dtype, order):
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 100, (5, 4, 3, 2)).astype(dtype)
    data = made(samples, order)
    image = read(data)
    assert image.domain.dtype == samples.dtype.name
    np.testing.assert_array_equal(image.pixels_HWC, samples.reshape(5, 4, 6, order="F"))
    assert FORMAT.encode(image) == data
    np.testing.assert_array_equal(unscaled(opened(data)), samples)


def test_slices_run_fastest_in_the_channels():
    samples = np.arange(2 * 2 * 3 * 2, dtype=np.int16).reshape(2, 2, 3, 2)
    image = read(made(samples))
    for time in range(2):
        for slice_ in range(3):
            np.testing.assert_array_equal(
                image.pixels_HWC[:, :, time * 3 + slice_], samples[:, :, slice_, time]
            )


@pytest.mark.parametrize(
    ("dtype", "refusal"),
    [("c8", "UNSUPPORTED_DTYPE"), ("c16", "UNSUPPORTED_DTYPE")],
)
def test_types_that_have_no_range_are_refused(dtype, refusal):
    assert refused(made(np.ones((3, 3, 2), dtype))).reason == refusal


def test_colours_and_long_integers_are_refused():
    colours = np.zeros((3, 3, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    header = nibabel.Nifti1Header()
    header.set_data_shape(colours.shape)
    header.set_data_dtype(colours.dtype)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    assert refused(header.binaryblock + bytes(4) + colours.tobytes()).reason == "UNSUPPORTED_DTYPE"
    assert refused(made(np.full((2, 2, 2), 2**60, "i8"))).reason == "UNSUPPORTED_DTYPE"


@pytest.mark.parametrize(
    "data",
    [
        CIFTI.read_bytes(),
        made(np.ones((4, 4, 2), np.float32), intent_code=3099),
        made(np.ones((4, 3, 2), np.float32), intent_code=1008),
        made(np.ones((4, 4, 2), np.float32), intent_code=2007),
        made(np.ones((10242, 1, 1), np.float32)),
        made(np.ones((1, 1, 1, 90), np.float32)),
    ],
    ids=["CIFTI", "of an unknown CIFTI", "points", "coefficients", "vertices", "one place"],
)
def test_what_has_no_plane_of_pixels_is_no_image(data):
    assert refused(data).reason == "NO_PIXELS"


@pytest.mark.parametrize("kind", ["Spm99AnalyzeHeader", "Nifti1PairHeader", "Nifti2PairHeader"])
@pytest.mark.parametrize("order", "<>")
def test_half_of_a_volume_is_told_to_be_made_one(kind, order):
    module = nibabel.spm99analyze if "99" in kind else getattr(nibabel, kind[:6].lower())
    header = getattr(module, kind)(endianness=order)
    header.set_data_shape((4, 3, 2))
    with pytest.raises(ImageError, match="two files"):
        decode(header.binaryblock)


def test_fields_of_shifts_and_single_slices_are_images():
    assert read(made(np.ones((4, 3, 2, 1, 3), np.float32), intent_code=1007)).size == (4, 3, 6)
    assert read(made(np.ones((4, 1, 5), np.float32))).size == (4, 1, 5)


def test_the_range_is_the_headers_or_the_volumes():
    samples = np.array([[[5, 900], [20, 7]]], np.int16)
    volume = read(made(samples)).domain
    assert (volume.low, volume.high, volume.rule) == (0, 900, "volume")
    negative = read(made(samples - np.int16(100))).domain
    assert (negative.low, negative.high) == (-95, 800)
    flat = read(made(np.zeros((2, 2, 2), np.int16))).domain
    assert flat.low < flat.high
    # cal_min and cal_max are physical: 10 = 2 x 5, 90 = 2 x 45.
    header = read(made(samples, cal_min=10, cal_max=90, scl_slope=2)).domain
    assert (header.low, header.high, header.rule, header.scales) == (5, 45, "header", (2.0,))
    falling = read(made(samples, cal_min=10, cal_max=90, scl_slope=-2, scl_inter=100)).domain
    assert (falling.low, falling.high) == (5, 45)
    for slope in (0.0, np.nan, np.inf):
        assert read(made(samples, scl_slope=slope)).domain.scales == ()


@pytest.mark.parametrize("factor", [1, 2])
def test_values_that_are_not_finite_are_not_valid_and_come_back(factor):
    samples = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    samples[1, 2, 0], samples[4, 4, 2], samples[0, 0, 1] = np.nan, np.inf, -np.inf
    data = made(samples)
    image = read(data)
    np.testing.assert_array_equal(image.valid_HW, np.isfinite(samples).all(axis=2))
    assert image.domain.high == samples[np.isfinite(samples)].max()
    filled = replace(image, pixels_HWC=np.nan_to_num(image.pixels_HWC, posinf=0, neginf=0), valid_HW=None)
    after = opened(FORMAT.encode(enlarged(filled, factor)))
    np.testing.assert_array_equal(unscaled(after), np.repeat(np.repeat(samples, factor, 0), factor, 1))
    assert refused(made(np.full((2, 2, 2), np.nan, np.float32))).reason == "ALL_NODATA"


def test_the_gzip_holds_no_time_and_no_name():
    written = FORMAT.encode(read(SAMPLES["standard.nii.gz"].read_bytes()))
    assert written[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dim": [9, 3, 3, 2, 1, 1, 1, 1]}, "UNREADABLE"),
        ({"dim": [1, 3, 1, 1, 1, 1, 1, 1]}, "UNREADABLE"),
        ({"dim": [3, 3, -3, 2, 1, 1, 1, 1]}, "UNREADABLE"),
        ({"dim": [3, 30, 30, 20, 1, 1, 1, 1]}, "TRUNCATED"),
        ({"dim": [3, 32000, 32000, 2, 1, 1, 1, 1]}, "TOO_LARGE"),
        ({"dim": [3, 3000, 3000, 3000, 1, 1, 1, 1]}, "TOO_LARGE"),
        ({"vox_offset": 100}, "UNREADABLE"),
        ({"vox_offset": np.nan}, "UNREADABLE"),
        ({"vox_offset": 1e9}, "TRUNCATED"),
        ({"datatype": 99}, "UNSUPPORTED_DTYPE"),
        ({"intent_code": 1002}, "UNSUPPORTED_COLOUR"),
        ({"intent_code": 1003}, "UNSUPPORTED_COLOUR"),
    ],
)
def test_broken_headers_are_refused(fields, reason):
    for data in (made(np.ones((3, 3, 2), np.int16), **fields),):
        assert refused(data).reason == refused(gzip.compress(data)).reason == reason


@pytest.mark.parametrize("name", ["anatomical.nii", "standard.nii.gz"])
def test_no_cut_file_is_read_in_part(name):
    data = SAMPLES[name].read_bytes()
    for percent in range(5, 100, 5):
        cut = data[: len(data) * percent // 100]
        assert not FORMAT.recognises(cut) or refused(cut).reason in {"TRUNCATED", "UNREADABLE"}


def test_a_damaged_gzip_is_refused():
    data = bytearray(gzip.compress(made(np.ones((8, 8, 8), np.int16))))
    data[-8] ^= 1
    assert refused(bytes(data)).reason == "UNREADABLE"


def test_a_gzip_is_not_inflated_as_far_as_its_header_says_the_samples_begin(monkeypatch):
    monkeypatch.setattr("pipeline.formats.nifti.volume._LARGEST_BEFORE", 4000)
    data = bytearray(made(np.ones((4, 4, 4), np.int16)))
    data[108:112] = np.float32(8000).tobytes()
    data += bytes(8000)
    assert read(bytes(data)).size == (4, 4, 4)
    assert refused(gzip.compress(data)).reason == "TOO_LARGE"
    data[108:112] = np.float32(3e9).tobytes()
    assert refused(gzip.compress(data)).reason == "TRUNCATED"


def test_only_nifti_is_recognised():
    good = made(np.ones((3, 3, 2), np.int16))
    assert FORMAT.recognises(good)
    assert FORMAT.recognises(gzip.compress(good))
    pair = good[:344] + b"ni1\0" + good[348:]
    for other in (b"", b"\x5c\x01\0\0", pair, gzip.compress(b"x" * 999), b"\x1f\x8b" + bytes(60), bytes(600)):
        assert not FORMAT.recognises(other)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.integers(0, 351), st.binary(min_size=1, max_size=4)), max_size=6))
def test_any_header_gives_an_image_or_an_image_error(changes):
    data = bytearray(made(np.arange(60, dtype=np.float32).reshape(5, 4, 3), qform_code=1, sform_code=1))
    for place, change in changes:
        data[place : place + len(change)] = change
    try:
        image = FORMAT.decode(bytes(data), Limits(max_pixels=1_000_000))
        FORMAT.encode(enlarged(image, 2))
    except ImageError:
        return
    assert image.domain.low < image.domain.high


def test_images_travel_and_only_volumes_become_volumes():
    image = read(SAMPLES["example4d.nii.gz"].read_bytes())
    assert FORMAT.encode(pickle.loads(pickle.dumps(image))) == FORMAT.encode(image)
    assert NIFTI_HEADER in image.metadata.entries
    assert "patient" not in repr(image)
    plain = Image(np.zeros((4, 4, 1), np.uint8), Domain.of_integers("uint8"), Metadata("png"))
    fewer = replace(image, pixels_HWC=image.pixels_HWC[:, :, :3])
    for wrong in (plain, fewer):
        with pytest.raises(ImageError, match=r"(?s)holds .* not .*; ") as refusal:
            FORMAT.encode(wrong)
        assert refusal.value.reason == "UNENCODABLE"
    with pytest.raises(ImageError) as refusal:
        FORMAT.encode(image.with_pixels(np.zeros((100, 500, 48), np.int16)))
    assert refusal.value.reason == "BAD_GEOMETRY"


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    for name in ("pipeline.formats.nifti.volume", "pipeline.formats.nifti.header"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "nibabel"]:
        monkeypatch.setitem(sys.modules, name, None)
    error = refused(SAMPLES["anatomical.nii"].read_bytes())
    assert error.reason == "UNREADABLE"
    assert "pip install 'restora[nifti]'" in str(error)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_slices_that_dim_does_not_count_are_not_lost(pack):
    """Readers take what dim says; so would the restored file, and nobody would miss the rest."""
    samples = np.random.default_rng(0).integers(1, 99, (7, 8, 6), np.int16)
    for shape in ([3, 7, 8, 5, 1, 1, 1, 1], [2, 7, 8, 1, 1, 1, 1, 1], [3, 8, 7, 5, 1, 1, 1, 1]):
        error = refused(pack(made(samples, dim=shape)))
        assert (error.reason, "dim" in str(error)) == ("UNREADABLE", True)
    padded = read(pack(made(samples) + bytes(500)))
    np.testing.assert_array_equal(padded.pixels_HWC, samples)
