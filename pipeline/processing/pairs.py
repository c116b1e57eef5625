"""Pairs as they were found: an image and its reference, made to fit each other, and their ranges.

Shapes: B batch, C channels, H and W height and width of the reference, h and w of the image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract import Condition
from pipeline.degradation.degradation import Degraded, as_found
from pipeline.errors import ImageError
from pipeline.formats.ground import distance
from pipeline.formats.turning import held_alike
from pipeline.imaging.image import Domain, Image
from pipeline.imaging.radiometry import in_units, to_tensor
from pipeline.jobs.job import Radiometry
from pipeline.processing.cases import Case, Loaded

Mask = NDArray[np.bool_]
_SLACK = 4.0
"""Pixels of a reference by which its corners may lie beside the image's: scores of pairs that are not
registered look for shifts of three."""


def scale_of(image: Image, reference: Image) -> int:
    """How many times larger the reference is: a whole number, the same for both sides.

    A reference may have a rest at the right and the bottom that is smaller than one pixel of the image, which
    is cut off, as benchmarks of super-resolution do. ``ImageError`` with ``REFERENCE_SIZE``, or with
    ``REFERENCE_BANDS`` where the channels differ.
    """
    (height, width, channels), (large_height, large_width, its_channels) = image.size, reference.size
    if channels != its_channels:
        raise ImageError("REFERENCE_BANDS", f"{channels} channels, its reference has {its_channels}")
    most = max(large_height // height, large_width // width)
    for scale in range(most, 0, -1):
        exact = (large_height, large_width) == (height * scale, width * scale)
        rounded = (large_height // scale, large_width // scale) == (height, width)
        if exact or (scale > 1 and rounded):
            return scale
    raise ImageError(
        "REFERENCE_SIZE",
        f"{height} x {width} pixels, its reference has {large_height} x {large_width}: no whole multiple",
    )


def facing(image: Image, reference: Image) -> Image:
    """The reference with its pixels in the places of the image's, where the files are not held alike.

    ``ImageError`` as ``scale_of``, and with ``REFERENCE_ELSEWHERE`` where both headers say that it lies at
    another place.
    """
    facing = held_alike(reference, image, partial(scale_of, image))
    _refuse_elsewhere(facing, image, scale_of(image, facing), "the reference")
    return facing


def where_clear(reference: Image, clear: Image | None) -> Image:
    """The reference, valid where its mask is not 0 as well.

    ``ImageError`` with ``REFERENCE_SIZE`` where the mask is of another size.
    """
    if clear is None:
        return reference
    clear = held_alike(clear, reference, partial(_refuse_other_size, reference), alike=False)
    _refuse_other_size(reference, clear)
    _refuse_elsewhere(clear, reference, 1, "the mask of the reference")
    clear_HW = (clear.pixels_HWC != 0).any(axis=2)
    own_HW = reference.valid_HW
    return replace(reference, valid_HW=clear_HW if own_HW is None else own_HW & clear_HW)


def _refuse_elsewhere(other: Image, image: Image, ratio: int, what: str) -> None:
    if (pixels := distance(other, image, ratio)) > _SLACK:
        raise ImageError(
            "REFERENCE_ELSEWHERE",
            f"{what} lies {pixels:.1f} of its pixels beside, by the two headers (or it is turned over); warp "
            "or reorient both to one grid",
        )


def _refuse_other_size(reference: Image, clear: Image) -> None:
    if clear.size[:2] != reference.size[:2]:
        sizes = (f"{each.size[0]} x {each.size[1]}" for each in (clear, reference))
        raise ImageError("REFERENCE_SIZE", "the mask has {} pixels, the reference {}".format(*sizes))


def counted(image: Image, reference: Image, scale: int) -> Image:
    """The reference, cut to the image's size times ``scale``; valid where both have data."""
    height, width = (side * scale for side in image.size[:2])
    cut = reference.cropped(height, width)
    masks: list[Mask] = [] if cut.valid_HW is None else [cut.valid_HW]
    if image.valid_HW is not None:
        masks.append(image.valid_HW.repeat(scale, 0).repeat(scale, 1))
    return replace(cut, valid_HW=np.logical_and.reduce(masks)) if masks else cut


def found_case(loaded: Loaded, radiometry: Radiometry | None, device: torch.device) -> Case:
    """A pair on the device, nothing done to it. Raises ``ImageError`` as ``in_units`` and ``to_tensor``."""
    assert loaded.reference is not None
    found = in_units(loaded.image, radiometry)
    reference = in_units(loaded.reference.image, radiometry)
    degraded = found_input(loaded, to_tensor(found, device), radiometry, loaded.reference.scale)
    fields = {
        "reference_key": loaded.reference.key,
        "reference_uri": loaded.reference.uri,
        "reference_sha256": loaded.reference.sha256,
        "reference_bytes": loaded.reference.size,
    }
    return Case(loaded, reference, to_tensor(reference, device), degraded, fields, found)


def found_input(
    loaded: Loaded, image_1CHW: Tensor, radiometry: Radiometry | None, scale: int = 1
) -> Degraded:
    """The restorer's input of an image that nobody here degraded, with what its listing says of it."""
    condition = loaded.told.condition(scale, image_1CHW.device, radiometry)
    size = None if loaded.reference is None else loaded.reference.image.size[:2]
    guided = loaded.told.guided(condition, loaded.image, size, radiometry)
    return as_found(image_1CHW, on_device(guided, image_1CHW.device))


def on_device(condition: Condition, device: torch.device) -> Condition:
    """The condition whose guide is where its image is."""
    return condition.changed(lambda guide_BPHW: guide_BPHW.to(device), ("guide_BPHW",))


def in_reference_range(image_BCHW: Tensor, found: Image | None, reference: Image) -> Tensor:
    """The image as fractions of the reference's range, where that is not its own, which ``found`` has.

    Types that fill their range (8 and 16 bits, fractions) agree as they are; others through the physical
    values, or the stored ones, that both files name.
    """
    if found is None:
        return image_BCHW
    own, its = found.domain, reference.domain
    if own.rule == its.rule == "dtype" or _meaning(own) == _meaning(its):
        return image_BCHW
    if bool(own.scales) != bool(its.scales):
        return image_BCHW
    physical_BCHW = _affine(image_BCHW.double() * (own.high - own.low) + own.low, own)
    offset_C11, scale_C11 = _by_band(its.offsets, 0.0, image_BCHW), _by_band(its.scales, 1.0, image_BCHW)
    stored_BCHW = (physical_BCHW - offset_C11) / scale_C11
    return ((stored_BCHW - its.low) / (its.high - its.low)).to(image_BCHW.dtype)


def _meaning(domain: Domain) -> tuple[object, ...]:
    return domain.low, domain.high, domain.scales, domain.offsets


def _affine(stored_BCHW: Tensor, domain: Domain) -> Tensor:
    scale_C11 = _by_band(domain.scales, 1.0, stored_BCHW)
    return stored_BCHW * scale_C11 + _by_band(domain.offsets, 0.0, stored_BCHW)


def _by_band(values: tuple[float, ...], absent: float, image_BCHW: Tensor) -> Tensor:
    """One number for all channels, or one for each: float64 (C or 1, 1, 1)."""
    return torch.tensor(values or (absent,), dtype=torch.float64, device=image_BCHW.device)[:, None, None]
