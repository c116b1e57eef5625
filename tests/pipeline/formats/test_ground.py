"""What belongs to an image lies where it lies: references, masks and guides of rasters and volumes."""

import numpy as np
import pytest

from pipeline.conditions.guides import checked_guide
from pipeline.conditions.masks import of_file
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.ground import distance, place_of
from pipeline.processing.pairs import facing, where_clear
from tests.nifti_samples import made, nibabel

rasterio = pytest.importorskip("rasterio", reason="restora[geo] is not installed")
from rasterio.transform import Affine  # noqa: E402 - which needs it

PIXELS = np.random.default_rng(0).integers(1, 200, (12, 16)).astype(np.uint8)


def scene(scale=1, x=500.0, y=900.0, step=20.0, crs="EPSG:32633", south_up=False):
    """A raster of steps of 20 m, in as many pixels; over the same ground from above or from below."""
    samples = PIXELS.repeat(scale, 0).repeat(scale, 1)
    grid = Affine(step / scale, 0, x, 0, -step / scale, y)
    if south_up:
        grid = Affine(step / scale, 0, x, 0, step / scale, y - 12 * step)
    height, width = samples.shape
    with rasterio.MemoryFile() as file:
        shape = {"count": 1, "height": height, "width": width, "dtype": "uint8"}
        with file.open(driver="GTiff", **shape, crs=crs, transform=grid) as out:
            out.write(samples[None])
        return decode(file.read())


def volume(flip=(1, 1, 1), code=1, by="sform", shift=0.0, dtype=np.uint8):
    """A volume of voxels of 2 x 2 x 3 mm, held in one of eight ways."""
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[:3, 3] = -10 + shift
    for axis, (sign, size) in enumerate(zip(flip, (12, 16, 3), strict=True)):
        if sign < 0:
            affine[:3, 3] += affine[:3, axis] * (size - 1)
            affine[:3, axis] *= -1
    header = nibabel.Nifti1Header()
    header.set_data_shape((12, 16, 3))
    getattr(header, f"set_{by}")(affine, code=code)
    names = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z", "pixdim")
    fields = {name: header[name] for name in (*names, "srow_x", "srow_y", "srow_z", f"{by}_code")}
    return decode(made(np.dstack([PIXELS] * 3).astype(dtype), **fields))


@pytest.mark.parametrize("by", ["sform", "qform"])
def test_a_volume_that_is_held_otherwise_is_elsewhere(by):
    image = volume(by=by)
    assert distance(volume(by=by), image, 1) == 0
    assert distance(volume(by=by, shift=0.3), image, 1) == pytest.approx(np.sqrt(3) * 0.15)
    for flip in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, -1)):
        assert distance(volume(flip, by=by), image, 1) > 1.4, flip


def test_what_cannot_be_compared_is_not():
    image = volume()
    assert distance(volume((-1, 1, 1), code=4), image, 1) == 0  # another space
    assert place_of(volume(code=0)) is None
    assert distance(scene(), image, 1) == distance(scene(), decode(made(PIXELS[:, :, None])), 1) == 0
    assert distance(scene(2, step=40.0), scene(), 2) == 0  # a header that was copied from the other


def test_references_lie_where_their_image_lies():
    image = scene()
    for reference, scale in ((scene(), 1), (scene(3), 3), (scene(2, x=530.0), 2)):
        assert facing(image, reference).size[0] == 12 * scale
    for reference in (scene(2, x=600.0), scene(1, south_up=True), scene(1, crs="EPSG:32634", x=9000.0)):
        with pytest.raises(ImageError, match="of its pixels beside") as refusal:
            facing(image, reference)
        assert refusal.value.reason == "REFERENCE_ELSEWHERE"
    with pytest.raises(ImageError, match="mask of the reference"):
        where_clear(scene(), scene(south_up=True))
    with pytest.raises(ImageError, match="turned over"):
        facing(volume(), volume((1, -1, 1)))


def test_masks_and_guides_lie_where_their_image_lies():
    for image, other in ((scene(), scene(x=560.0)), (volume(), volume((-1, 1, 1)))):
        assert of_file(image, image, "black").all()
        with pytest.raises(ImageError, match="beside the image") as refusal:
            of_file(other, image, "black")
        assert refusal.value.reason == "MASK_UNFIT"
    with pytest.raises(ImageError, match="turned over") as refusal:
        checked_guide(volume((1, -1, 1)), volume(), ())
    assert refusal.value.reason == "GUIDE_UNFIT"
    assert checked_guide(volume(), volume(), ()).size == (12, 16, 3)
