"""Where a volume lies, on its own grid and on others, as nibabel and nifti_tool see it."""

import gzip
import io
import shutil
import struct
import subprocess

import numpy as np
import pytest

from pipeline.errors import ImageError
from tests.nifti_samples import FORMAT, SAMPLES, enlarged, made, nibabel, opened, read, unscaled


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", SAMPLES)
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


def test_slice_times_go_where_the_slices_were_cut_anew():
    samples = np.ones((4, 4, 4), np.int16)
    times = {"slice_code": 1, "slice_end": 3, "slice_duration": 0.5}
    for axis, kept in ((1, False), (2, False), (3, True)):
        image = read(made(samples, dim_info=axis << 4, **times))
        header = opened(FORMAT.encode(enlarged(image, 2))).header
        assert (int(header["slice_code"]) == 1) == kept
        assert (float(header["slice_duration"]) == 0.5) == kept


def test_an_impossible_rotation_can_be_kept_but_not_enlarged():
    image = read(made(np.ones((3, 3, 2), np.int16), qform_code=1, quatern_b=3.0))
    FORMAT.encode(image)
    with pytest.raises(ImageError) as refusal:
        FORMAT.encode(enlarged(image, 2))
    assert refusal.value.reason == "BAD_GEOMETRY"


def test_a_shrunk_copy_of_a_cut_volume_keeps_its_corner():
    samples = np.arange(7 * 7 * 2, dtype=np.int16).reshape(7, 7, 2)
    affine = {"sform_code": 1, "srow_x": [2, 0, 0, -3], "srow_y": [0, 2, 0, 5], "srow_z": [0, 0, 4, 1]}
    image = read(made(samples, **affine))
    after = opened(FORMAT.encode(image.with_pixels(image.pixels_HWC[:6:2, :6:2])))
    # The new first voxel covers source voxels 0 and 1, whose middle is half a voxel on.
    np.testing.assert_allclose(after.affine, [[4, 0, 0, -2], [0, 4, 0, 6], [0, 0, 4, 1], [0, 0, 0, 1]])
    assert struct.unpack("<8h", FORMAT.encode(image)[40:56])[:4] == (3, 7, 7, 2)
    assert io.BytesIO(FORMAT.encode(image)).getvalue() == made(samples, **affine)
