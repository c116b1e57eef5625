"""Pixels without data: filled before a model sees them, since one NaN can spread over a whole tile."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import ImageError
from pipeline.imaging.image import Image


def filled(image: Image) -> Image:
    """Every invalid pixel takes the values of the nearest valid one; where all are valid, the image itself.

    What is stored in their place afterwards is the source's own: ``Image.with_pixels``.
    Raises ``ImageError`` with ``ALL_NODATA``.
    """
    valid_HW = image.valid_HW
    if valid_HW is None or valid_HW.all():
        return image
    if not valid_HW.any():
        raise ImageError("ALL_NODATA", "not one pixel holds data")
    from scipy import ndimage  # 0.4 s of import, in every replica, for images that most archives do not have

    nearest_2HW = ndimage.distance_transform_edt(~valid_HW, return_distances=False, return_indices=True)
    return replace(image, pixels_HWC=image.pixels_HWC[tuple(nearest_2HW)])


def without_hidden(image: Image) -> Image:
    """Wholly transparent pixels hold no data: nobody sees what is stored beneath, which is often anything.

    Raises ``ImageError`` with ``ALL_NODATA``.
    """
    if image.alpha_HW is None or (seen_HW := image.alpha_HW != 0).all():
        return image
    valid_HW = seen_HW if image.valid_HW is None else image.valid_HW & seen_HW
    if not valid_HW.any():
        raise ImageError("ALL_NODATA", "not one pixel holds data: it is wholly transparent")
    return replace(image, valid_HW=valid_HW)


def share(image: Image) -> float:
    """Of the pixels, how many hold no data: 0 to 1."""
    return 0.0 if image.valid_HW is None else float(1.0 - image.valid_HW.mean())
