"""NIfTI: nibabel's own volumes and made ones; nibabel and nifti_tool are the referees."""

import gzip
import io
import pickle
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.nifti import HEADER, Nifti
from pipeline.image import Domain, Image, Metadata

nibabel = pytest.importorskip("nibabel", reason="needs the extra nifti")

FORMAT = Nifti()
FOLDER = Path(nibabel.__file__).parent / "tests" / "data"
SAMPLES = {
    path.name: path
    for path in sorted([*FOLDER.glob("*.nii"), *FOLDER.glob("*.nii.gz")])
    if FORMAT.recognises(path.read_bytes())
}
VOLUMES = [name for name in SAMPLES if "dconn" not in name]


def read(data: bytes) -> Image:
    return FORMAT.decode(data, Limits())


def refused(data: bytes, limits: Limits | None = None) -> ImageError:
    with pytest.raises(ImageError) as refusal:
        FORMAT.decode(data, limits or Limits())
    return refusal.value


def enlarged(image: Image, factor: int) -> Image:
    return image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, factor, 0), factor, 1))


def opened(data: bytes):
    """By nibabel, stored values unscaled in ``unscaled``."""
    content = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    kind = nibabel.Nifti1Image if b"n+1" in content[:348] else nibabel.Nifti2Image
    return kind.from_bytes(content)


def unscaled(volume) -> np.ndarray:
    return np.asarray(volume.dataobj.get_unscaled())


def made(samples: np.ndarray, order: str = "<", **fields: object) -> bytes:
    """A volume with fields of the header as given, in either byte order."""
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_shape(samples.shape)
    header.set_data_dtype(samples.dtype.newbyteorder(order))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + bytes(4) + samples.astype(samples.dtype.newbyteorder(order)).tobytes("F")


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


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", VOLUMES)
def test_a_finer_grid_covers_the_same_field_of_view(name, factor):
    data = SAMPLES[name].read_bytes()
    image = read(data)
    before, after = opened(data), opened(FORMAT.encode(enlarged(image, factor)))
    assert after.shape == (before.shape[0] * factor, before.shape[1] * factor, *before.shape[2:])
    np.testing.assert_array_equal(
        unscaled(after), np.repeat(np.repeat(unscaled(before), factor, 0), factor, 1)
    )
    for affine in ("get_sform", "get_qform"):
        before_affine, code = getattr(before.header, affine)(coded=True)
        after_affine, after_code = getattr(after.header, affine)(coded=True)
        assert code == after_code
        if code == 0:
            continue
        outer = before.shape[2] - 0.5
        corners = [[x, y, z] for x in (0, 1) for y in (0, 1) for z in (-0.5, outer)]
        expected, actual = (
            nibabel.affines.apply_affine(each, np.multiply(corners, [size[0], size[1], 1]) - [0.5, 0.5, 0])
            for each, size in ((before_affine, before.shape), (after_affine, after.shape))
        )
        np.testing.assert_allclose(actual, expected, atol=1e-4)
    zooms = np.array(before.header.get_zooms())
    np.testing.assert_allclose(after.header.get_zooms(), zooms / [factor, factor, *[1] * (len(zooms) - 2)])
    assert after.header.extensions == before.header.extensions


MAY_CHANGE = {"dim", "pixdim", "srow_x", "srow_y", "srow_z", "qoffset_x", "qoffset_y", "qoffset_z"}


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("name", ["anatomical.nii", "functional.nii", "example4d.nii.gz"])
def test_nifti_tool_finds_good_headers_that_differ_where_they_may(name, factor, tmp_path):
    if shutil.which("nifti_tool") is None:
        pytest.skip("nifti_tool is not installed")

    def said(*command: object) -> str:
        run = subprocess.run(["nifti_tool", *map(str, command)], capture_output=True, text=True, check=False)
        return run.stdout + run.stderr

    source, out = tmp_path / "source.nii", tmp_path / "out.nii"
    image = read(SAMPLES[name].read_bytes())
    for path, each in ((source, image), (out, enlarged(image, factor))):
        written = FORMAT.encode(each)
        path.write_bytes(gzip.decompress(written) if name.endswith(".gz") else written)
    assert "IS GOOD" in said("-check_hdr", "-infiles", out)
    lines = said("-diff_hdr", "-infiles", source, out).splitlines()
    fields = {line.split()[0] for line in lines if line.startswith("  ") and "---" not in line}
    assert fields - {"name"} <= (MAY_CHANGE if factor > 1 else set())
    assert (factor == 1) == ("dim" not in fields)


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


def test_slice_times_go_where_the_slices_were_cut_anew():
    samples = np.ones((4, 4, 4), np.int16)
    times = {"slice_code": 1, "slice_end": 3, "slice_duration": 0.5}
    for axis, kept in ((1, False), (2, False), (3, True)):
        image = read(made(samples, dim_info=axis << 4, **times))
        header = opened(FORMAT.encode(enlarged(image, 2))).header
        assert (int(header["slice_code"]) == 1) == kept
        assert (float(header["slice_duration"]) == 0.5) == kept


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


def test_an_impossible_rotation_can_be_kept_but_not_enlarged():
    image = read(made(np.ones((3, 3, 2), np.int16), qform_code=1, quatern_b=3.0))
    FORMAT.encode(image)
    with pytest.raises(ImageError) as refusal:
        FORMAT.encode(enlarged(image, 2))
    assert refusal.value.reason == "BAD_GEOMETRY"


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
    assert HEADER in image.metadata.entries
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
    for name in ("pipeline.formats.nifti_volume", "pipeline.formats.nifti_header"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "nibabel"]:
        monkeypatch.setitem(sys.modules, name, None)
    error = refused(SAMPLES["anatomical.nii"].read_bytes())
    assert error.reason == "UNREADABLE"
    assert "pip install 'restora[nifti]'" in str(error)


def test_a_shrunk_copy_of_a_cut_volume_keeps_its_corner():
    samples = np.arange(7 * 7 * 2, dtype=np.int16).reshape(7, 7, 2)
    affine = {"sform_code": 1, "srow_x": [2, 0, 0, -3], "srow_y": [0, 2, 0, 5], "srow_z": [0, 0, 4, 1]}
    image = read(made(samples, **affine))
    after = opened(FORMAT.encode(image.with_pixels(image.pixels_HWC[:6:2, :6:2])))
    # The new first voxel covers source voxels 0 and 1, whose middle is half a voxel on.
    np.testing.assert_allclose(after.affine, [[4, 0, 0, -2], [0, 4, 0, 6], [0, 0, 4, 1], [0, 0, 0, 1]])
    assert struct.unpack("<8h", FORMAT.encode(image)[40:56])[:4] == (3, 7, 7, 2)
    assert io.BytesIO(FORMAT.encode(image)).getvalue() == made(samples, **affine)
