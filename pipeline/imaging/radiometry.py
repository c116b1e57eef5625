"""Stored numbers and what they mean: the model's [0, 1], physical units, and back without a guess.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import ImageError
from pipeline.imaging.image import Domain, Image
from pipeline.imaging.nodata import filled
from pipeline.imaging.transfer import NARROW, Download, divided, download, uploaded
from pipeline.jobs.job import Radiometry

_STRIP = 1 << 22
"""Values of an image that are rounded, counted or stored at once: a float copy of a large one takes as much
room as all its bytes four times."""


def in_units(image: Image, radiometry: Radiometry | None) -> Image:
    """The image with the model's 0 and 1 at the physical values that the job names.

    The step from stored to physical values is the job's, else the file's. Raises ``ImageError`` with
    ``RADIOMETRY_UNKNOWN`` where neither says it, where the bands of the file differ, and where nothing
    that the file can hold is in the range.
    """
    if radiometry is None:
        return image
    scale, offset = _step(image.domain, radiometry)
    ends = sorted((value - offset) / scale for value in (radiometry.low, radiometry.high))
    least, most = image.domain.storable
    if ends[1] <= least or ends[0] >= most:
        raise ImageError(
            "RADIOMETRY_UNKNOWN",
            f"no {image.domain.dtype} of this file's scale is between {radiometry.low:g} and "
            f"{radiometry.high:g}; correct radiometry in the job",
        )
    domain = replace(image.domain, low=ends[0], high=ends[1], rule="job", scales=(scale,), offsets=(offset,))
    return replace(image, domain=domain)


def _step(domain: Domain, radiometry: Radiometry) -> tuple[float, float]:
    if radiometry.scale is not None:
        return radiometry.scale, radiometry.offset
    steps = set(zip(domain.scales, domain.offsets, strict=True))
    if len(steps) != 1:
        why = "its bands have different scales" if steps else "the file has no scale"
        raise ImageError(
            "RADIOMETRY_UNKNOWN",
            f"{why}; give radiometry.scale and .offset in the job, or leave radiometry out",
        )
    return steps.pop()


def to_tensor(image: Image, device: torch.device) -> Tensor:
    """1CHW float32, the domain's low at 0 and high at 1, no-data pixels filled from their neighbours."""
    seen = filled(image)
    if device.type == "cuda" and seen.domain.low == 0 and str(seen.pixels_HWC.dtype) in NARROW:
        unit_CHW = uploaded(seen.pixels_HWC, device).float()
        return divided(unit_CHW, seen.domain.high - seen.domain.low)[None]
    return torch.from_numpy(seen.to_unit_planes())[None].to(device)


def quantised(
    image_BCHW: Tensor, domain: Domain, valid_B1HW: Tensor | None = None, *, in_place: bool = False
) -> tuple[Tensor, Tensor]:
    """Rounded and clipped to what may be stored, still as fractions of the range; and pixels clipped (B,).

    A valid pixel counts as clipped where any channel of it had to be; floats stay as they are.
    ``in_place`` writes into ``image_BCHW``.
    """
    clipped_B = torch.zeros(len(image_BCHW), dtype=torch.int64, device=image_BCHW.device)
    if not domain.is_integer:
        return image_BCHW, clipped_B
    quantised_BCHW = image_BCHW if in_place else torch.empty_like(image_BCHW)
    for rows in _strips(image_BCHW):
        strip_BCHW = _stored(image_BCHW[:, :, rows], domain).round_()
        clipped_B += _clipped(strip_BCHW, domain, None if valid_B1HW is None else valid_B1HW[:, :, rows])
        strip_BCHW.clamp_(*domain.storable)
        if domain.low:
            strip_BCHW -= domain.low
        quantised_BCHW[:, :, rows] = divided(strip_BCHW, domain.high - domain.low)
    return quantised_BCHW, clipped_B


def to_stored(image_BCHW: Tensor, domain: Domain) -> np.ndarray[Any, Any]:
    """BHWC in the domain's dtype."""
    download = begin_to_store(image_BCHW, domain)
    download.wait()
    return download.pixels_BHWC


def begin_to_store(image_BCHW: Tensor, domain: Domain) -> Download:
    """The same without waiting for a device."""
    if image_BCHW.is_cuda:  # which works on meanwhile
        return download(_storable(image_BCHW, domain), domain.dtype)
    batch, channels, height, width = image_BCHW.shape
    pixels_BHWC = np.empty((batch, height, width, channels), domain.dtype)
    for rows in _strips(image_BCHW):
        strip_BCHW = _storable(image_BCHW[:, :, rows], domain)
        pixels_BHWC[:, rows] = download(strip_BCHW, domain.dtype).pixels_BHWC
    return Download(pixels_BHWC)


def returns_exactly(domain: Domain) -> bool:
    """Whether what goes through the model's range and back is what went in, whatever may be stored."""
    return domain.dtype in NARROW and domain.low == 0 and domain.limits is None


def left_alone(pixels_HWC: NDArray[Any], source: Image, same_CHW: Tensor) -> NDArray[Any]:
    """The pixels, with the source's own samples where ``same_CHW`` says that nothing was done to them.

    Single precision holds no integer above 2^24 and no float64, and a range that does not begin at zero
    costs the last bit of any float: what comes back through it is not what went in.
    """
    same_HWC = same_CHW.permute(1, 2, 0).cpu().numpy()
    return np.where(same_HWC, source.pixels_HWC, pixels_HWC) if same_HWC.any() else pixels_HWC


def clipped_and_stored(
    image_1CHW: Tensor, domain: Domain, valid_HW: NDArray[np.bool_] | None, extremes: tuple[float, float]
) -> tuple[int, NDArray[Any]]:
    """How many valid pixels had to be clipped, and HWC in the domain's dtype: both steps above at once.

    ``extremes`` are the least and greatest value of the image. The array is a view of one channel after the
    other.
    """
    values_1CHW, clipped = _stored(image_1CHW, domain), 0
    if domain.is_integer:
        values_1CHW = values_1CHW.round()
        ends = [value * (domain.high - domain.low) + domain.low for value in extremes]
        if ends[0] < domain.storable[0] or ends[1] > domain.storable[1]:
            valid_11HW = None if valid_HW is None else torch.from_numpy(valid_HW)[None, None]
            clipped = int(_clipped(values_1CHW, domain, valid_11HW))
            values_1CHW.clamp_(*domain.storable)
    pixels_CHW: NDArray[Any] = values_1CHW[0].cpu().numpy().astype(domain.dtype)
    return clipped, pixels_CHW.transpose(1, 2, 0)


def _clipped(stored_BCHW: Tensor, domain: Domain, valid_B1HW: Tensor | None) -> Tensor:
    least, most = domain.storable
    clipped_B = torch.zeros(len(stored_BCHW), dtype=torch.int64, device=stored_BCHW.device)
    for rows in _strips(stored_BCHW):
        strip_BCHW = stored_BCHW[:, :, rows]
        outside_BHW = ((strip_BCHW < least) | (strip_BCHW > most)).any(dim=1)
        if valid_B1HW is not None:
            outside_BHW &= valid_B1HW[:, 0, rows].to(outside_BHW.device)
        clipped_B += outside_BHW.sum(dim=(-2, -1))
    return clipped_B


def _strips(image_BCHW: Tensor) -> Iterator[slice]:
    """Its rows, in parts of at most ``_STRIP`` values: what is made of them is held for one part at a time.

    All at once on a GPU, which would wait for the start of each.
    """
    height = image_BCHW.shape[2]
    rows = height if image_BCHW.is_cuda else max(1, _STRIP * height // max(image_BCHW.numel(), 1))
    for start in range(0, height, rows):
        yield slice(start, start + rows)


def _storable(image_BCHW: Tensor, domain: Domain) -> Tensor:
    """In stored numbers, rounded and clipped where they are integers."""
    values_BCHW = _stored(image_BCHW, domain)
    return values_BCHW.round_().clamp_(*domain.storable) if domain.is_integer else values_BCHW


def _stored(image_BCHW: Tensor, domain: Domain) -> Tensor:
    """In stored numbers, not rounded; in double precision where single cannot count that far."""
    wide = max(abs(end) for end in domain.storable) > 65535 if domain.is_integer else False
    values_BCHW = (image_BCHW.double() if wide else image_BCHW) * (domain.high - domain.low)
    return values_BCHW + domain.low if domain.low else values_BCHW
