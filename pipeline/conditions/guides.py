"""From a guide as it is stored, or from bands of the image itself, to what restores it: of the same ground.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract import Condition
from models.guides.matching import seen_coarsely
from pipeline.errors import ImageError
from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.formats.geotiff.scale import scaled_transform
from pipeline.formats.ground import distance, on_the_ground
from pipeline.formats.turning import held_alike
from pipeline.imaging.image import Domain, Image
from pipeline.imaging.radiometry import in_units, to_tensor
from pipeline.jobs.datasets import Radiometry

_SLACK = 0.5
"""Pixels of the guide by which its corners may lie beside the image's."""


def guide_image(data: bytes, image_of: Callable[[bytes], Image]) -> Image:
    """Decoded; ``GUIDE_UNFIT`` where it is damaged."""
    try:
        return image_of(data)
    except ImageError as error:
        raise ImageError("GUIDE_UNFIT", f"the guide: {error.reason}: {error}") from None


def checked_guide(guide: Image, image: Image, bands: Sequence[int]) -> Image:
    """Its bands, counted from 1, or all of them.

    ``GUIDE_UNFIT`` where it has other bands, is no whole number of times as large as the image, lies
    elsewhere on the ground, or has no data where the image has some.
    """
    guide = held_alike(guide, image, lambda turned: ratio_of(turned, image))
    ratio = ratio_of(guide, image)
    _refuse_elsewhere(guide, image, ratio)
    if guide.valid_HW is not None:
        own_HW = np.ones(image.size[:2], bool) if image.valid_HW is None else image.valid_HW
        missing = float((own_HW.repeat(ratio, 0).repeat(ratio, 1) & ~guide.valid_HW).mean())
        if missing:
            raise _unfit(
                f"it has no data for {missing:.2%} of its pixels, where the image has; fill or crop both"
            )
    return with_bands(guide, bands) if bands else guide


def split(image: Image, bands: Sequence[int]) -> tuple[Image, Image]:
    """The image without these bands, counted from 1, and those bands: its guide."""
    others = [each for each in range(1, image.size[2] + 1) if each not in bands]
    if not others:
        raise _unfit("its bands are all of the image's; nothing is left to be restored")
    return with_bands(image, others), with_bands(image, bands)


def with_bands(image: Image, bands: Sequence[int]) -> Image:
    """The image of these bands alone, counted from 1, with what its header says of them."""
    channels = image.size[2]
    if max(bands) > channels:
        raise _unfit(f"band {max(bands)} is asked for, there are {channels}")
    index = [each - 1 for each in bands]
    header = image.metadata.entries.get(RASTER_HEADER)
    entries = dict(image.metadata.entries)
    if isinstance(header, RasterHeader):
        entries[RASTER_HEADER] = header.with_channels(index)
    return replace(
        image,
        pixels_HWC=np.ascontiguousarray(image.pixels_HWC[:, :, index]),
        domain=_domain_of(image.domain, index),
        metadata=replace(image.metadata, entries=entries),
    )


def ratio_of(guide: Image, image: Image) -> int:
    """How many times larger the guide is, a whole number, the same for both sides."""
    (height, width), (tall, wide) = image.size[:2], guide.size[:2]
    ratio = tall // height
    if ratio < 1 or (tall, wide) != (ratio * height, ratio * width):
        raise _unfit(
            f"it has {tall} x {wide} pixels, the image {height} x {width}; it must be "
            "a whole number of times as large"
        )
    return ratio


def guide_condition(
    condition: Condition, guide: Image, like: Image, radiometry: Radiometry | None, size: tuple[int, int]
) -> Condition:
    """With the guide at the wanted ``size``: a larger one is seen through a sensor with larger pixels.

    So is the image, by the degradation: Wald's protocol. ``GUIDE_UNFIT`` where it is smaller.
    """
    # Values of the image's own kind keep its range; of others, as a panchromatic band of 8 bits, the file's
    # counts.
    alike = guide.domain == like.domain
    guide_1PHW = to_tensor(in_units(guide, radiometry) if alike else guide, torch.device("cpu"))
    ratio = guide_1PHW.shape[-2] // size[0]
    if ratio < 1:
        raise _unfit(
            f"it has {guide.size[0]} x {guide.size[1]} pixels, the restored image {size[0]} x {size[1]}: "
            "it is no sharper than what is to be restored"
        )
    cut_1PHW = guide_1PHW[..., : ratio * size[0], : ratio * size[1]]
    return replace(condition, guide_BPHW=_fitted(cut_1PHW, ratio))


def _fitted(guide_1PHW: Tensor, ratio: int) -> Tensor:
    return guide_1PHW.contiguous() if ratio == 1 else seen_coarsely(guide_1PHW, ratio)


def _domain_of(domain: Domain, index: Sequence[int]) -> Domain:
    if len(domain.scales) <= 1:
        return domain
    scales, offsets = (tuple(values[each] for each in index) for values in (domain.scales, domain.offsets))
    return replace(domain, scales=scales, offsets=offsets)


def _refuse_elsewhere(guide: Image, image: Image, ratio: int) -> None:
    """Where both files say where they lie on the ground, it has to be the same place."""
    headers = [each.metadata.entries.get(RASTER_HEADER) for each in (guide, image)]
    its, own = headers
    if not isinstance(its, RasterHeader) or not isinstance(own, RasterHeader):
        if (pixels := distance(guide, image, ratio)) > _SLACK:
            raise _unfit(
                f"it lies {pixels:.1f} of its pixels beside the image, by the two headers (or it is turned "
                "over); reorient it to the image's grid"
            )
        return
    if its.crs and own.crs and its.crs != own.crs:
        raise _unfit("it is in another coordinate system than the image; warp it to the image's grid")
    if its.transform is None or own.transform is None:
        return
    wanted = scaled_transform(own.transform, Fraction(ratio))
    step = abs(wanted[1]) + abs(wanted[2])
    corners = (on_the_ground(each).corners(*guide.size[:2]).T for each in (its.transform, wanted))
    for lies, belongs in zip(*corners, strict=True):
        if abs(lies - belongs).max() > _SLACK * step:
            raise _unfit(
                f"its corners lie elsewhere on the ground: {_said(lies)}, the image's "
                f"{_said(belongs)}; cut or warp it to the image's grid"
            )


def _said(place: NDArray[np.float64]) -> str:
    return "{:.12g}, {:.12g}".format(*place)


def _unfit(why: str) -> ImageError:
    return ImageError("GUIDE_UNFIT", f"the guide: {why}")
