"""From a mask as it is stored, or from the image itself, to the pixels that are known.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.defects import DETECTORS
from pipeline.errors import ImageError
from pipeline.formats.dicom.entries import PADDING
from pipeline.formats.gaps import without_gaps
from pipeline.formats.ground import distance
from pipeline.formats.nifti.head import GAPS as NIFTI_GAPS
from pipeline.formats.turning import held_alike
from pipeline.formats.zarr_block import GAPS as ZARR_GAPS
from pipeline.imaging.image import Image
from pipeline.imaging.nodata import filled
from pipeline.jobs.conditions import MaskSpec

_GAPS = (NIFTI_GAPS, PADDING, ZARR_GAPS)
"""Metadata entries that keep samples without data, to be put back when the image is written."""

_SLACK = 1.0
"""Pixels by which the corners of a mask may lie beside the image's."""
Known = NDArray[np.bool_]
"""HW, true where a pixel is known."""


def fixed_mask_image(data: bytes, image_of: Callable[[bytes], Image], holes: str) -> Image:
    """The one mask of all images; ``MASK_UNFIT`` where it is none, or leaves nothing of any image."""
    mask = mask_image(data, image_of)
    _some(~np.any(_marked(mask, holes), axis=2), holes)
    return mask


def mask_image(data: bytes, image_of: Callable[[bytes], Image]) -> Image:
    """The mask in a file; ``MASK_UNFIT`` where it is none."""
    try:
        return image_of(data)
    except ImageError as error:
        raise ImageError("MASK_UNFIT", f"the mask: {error.reason}: {error}") from None


def of_file(mask: Image, image: Image, holes: str) -> Known:
    """The pixels that a mask file leaves; ``MASK_UNFIT`` where it is of another size or other channels.

    A mask of several channels is one whose channels agree, or one with a channel for each of the image's:
    then a pixel is a hole where any of them says so.
    """
    mask = held_alike(mask, image, partial(_refuse_other_size, image), alike=False)
    _refuse_other_size(image, mask)
    if (pixels := distance(mask, image, 1)) > _SLACK:
        raise ImageError(
            "MASK_UNFIT",
            f"the mask lies {pixels:.1f} pixels beside the image, by the two headers (or it is turned over); "
            "warp or reorient it to the image's grid",
        )
    marked_HWC = _marked(mask, holes)
    agree = bool((marked_HWC == marked_HWC[..., :1]).all())
    if not agree and mask.size[2] != image.size[2]:
        raise ImageError(
            "MASK_UNFIT",
            f"the mask has {mask.size[2]} channels that differ, the image {image.size[2]}; give one channel",
        )
    return _some(~np.any(marked_HWC, axis=2), holes)


def _refuse_other_size(image: Image, mask: Image) -> None:
    if mask.size[:2] != image.size[:2]:
        raise ImageError("MASK_UNFIT", f"the mask has {_size(mask)} pixels, the image {_size(image)}")


def of_own(image: Image, own: str) -> Known:
    """The pixels that hold data, or that are not wholly transparent."""
    height, width, _ = image.size
    if own == "nodata":
        valid_HW = image.valid_HW
        return _some(np.ones((height, width), bool) if valid_HW is None else valid_HW)
    alpha_HW = image.alpha_HW
    return _some(np.ones((height, width), bool) if alpha_HW is None else alpha_HW != 0)


def detected(image: Image, detectors: tuple[str, ...]) -> Known:
    """The pixels that none of the detectors calls a defect."""
    unit_CHW = torch.from_numpy(np.ascontiguousarray(filled(image).to_unit().transpose(2, 0, 1)))
    defects = [DETECTORS[name](unit_CHW).numpy() for name in detectors]
    return _some(~np.logical_or.reduce(defects))


def without_holes(image: Image, known_HW: Known, spec: MaskSpec) -> Image:
    """The image as it is restored: what was a hole by its own account is none any more.

    Nor are pixels without data that a mask file calls holes: they are to be filled. A detector looks at what
    is there, and leaves them as they are.
    """
    own = spec.own
    if image.valid_HW is not None and own != "alpha" and not spec.detect:
        return _with_data(image, ~known_HW)
    if own == "alpha" and image.alpha_HW is not None:
        opaque = image.alpha_HW.max()
        valid_HW = None if image.valid_HW is None else image.valid_HW | (image.alpha_HW == 0)
        return replace(image, alpha_HW=np.where(known_HW, image.alpha_HW, opaque), valid_HW=valid_HW)
    return image


def _with_data(image: Image, holes_HW: Known) -> Image:
    """The image whose holes hold data, also where its format keeps what is none sample by sample."""
    assert image.valid_HW is not None
    new_HW = holes_HW & ~image.valid_HW
    if not new_HW.any():
        return image
    entries = {
        key: without_gaps(value, image.size, new_HW) if key in _GAPS else value
        for key, value in image.metadata.entries.items()
    }
    return replace(
        image,
        pixels_HWC=np.where(new_HW[:, :, None], filled(image).pixels_HWC, image.pixels_HWC),
        valid_HW=image.valid_HW | new_HW,
        metadata=replace(image.metadata, entries=entries),
    )


def _marked(mask: Image, holes: str) -> NDArray[Any]:
    """HWC: where each channel calls a pixel a hole."""
    return np.asarray(mask.pixels_HWC != 0 if holes == "white" else mask.pixels_HWC == 0)


def _some(known_HW: Known, holes: str | None = None) -> Known:
    if not known_HW.any():
        other = {"black": "white", "white": "black", None: ""}[holes]
        cure = f'; holes = "{other}" (--holes {other}) takes the others for holes' if other else ""
        raise ImageError("MASK_UNFIT", f"every pixel is a hole: nothing is known to fill them from{cure}")
    return known_HW


def _size(image: Image) -> str:
    return "{} x {}".format(*image.size[:2])
