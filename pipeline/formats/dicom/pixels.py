"""Pixels of a DICOM object as stored, what they mean, and padding (PS3.3 C.7.6.3, C.11.1).

Shapes: H rows, W columns, C frames of a grey object or the three colours of a single frame.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEGExtended12Bit, RLELossless

from pipeline.errors import ImageError
from pipeline.formats.dicom.dataset import numbers, text, transfer_syntax, whole_number
from pipeline.formats.dicom.frames import check_frames, frame_ended_early
from pipeline.formats.dicom.layout import PixelLayout
from pipeline.imaging.image import Domain

RESCALE_TYPES = frozenset({"OD", "HU", "MGML", "Z_EFF", "ED", "EDW", "PCT"})
"""Defined terms of RescaleType (C.11.1.1.2) that are units; anything else may be free text."""


def read_stored(dataset: Dataset, layout: PixelLayout) -> NDArray[Any]:
    """HWC in the native byte order: grey as stored, colours as RGB, palettes looked up."""
    syntax = transfer_syntax(dataset)
    try:
        decodes = get_decoder(syntax).is_available
    except NotImplementedError:
        decodes = False
    if not decodes:
        raise ImageError("UNSUPPORTED_TRANSFER_SYNTAX", f"no decoder is installed for {syntax.name}")
    check_frames(dataset, syntax, layout)
    if not syntax.is_encapsulated:
        _check_high_bit(dataset, layout)
    # Decoders of all but RLE give colours pixel by pixel, and some writers leave PlanarConfiguration at 1.
    by_pixel = syntax.is_encapsulated and syntax != RLELossless
    options: dict[str, Any] = {"planar_configuration": 0} if by_pixel else {}
    try:
        samples = pixel_array(dataset, allow_excess_frames=False, correct_unused_bits=False, **options)
    except Exception:
        if syntax == JPEGExtended12Bit and layout.bits_stored > 8:
            raise ImageError(
                "UNSUPPORTED_TRANSFER_SYNTAX",
                "12 bit lossy JPEG has no decoder of a permissive licence; decompress the objects first",
            ) from None
        if syntax == RLELossless:
            raise frame_ended_early() from None
        raise
    if layout.photometric == "PALETTE COLOR":
        samples = apply_color_lut(samples, dataset)
    return _sign_extended(_channels_last(samples, layout), layout)


def _check_high_bit(dataset: Dataset, layout: PixelLayout) -> None:
    """Refuses pixels that do not begin in the lowest bit, as before PS3.5 8.1.1 asked for that."""
    if whole_number(dataset, "HighBit", layout.bits_stored - 1) != layout.bits_stored - 1:
        raise ImageError(
            "UNSUPPORTED_DTYPE",
            "HighBit is not BitsStored - 1: the pixels would begin above the lowest bit; correct the DICOM "
            "header, or move them down",
        )


def _sign_extended(stored_HWC: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    """Negative values of writers that leave the bits above BitsStored at zero (PS3.5 8.1.1 allows it).

    Other contents of those bits stay, for ``check_bits`` to find: pydicom would drop them in silence.
    """
    _, high = layout.range
    if not layout.is_signed or stored_HWC.max() <= high:
        return stored_HWC
    wide_HWC = stored_HWC.astype(np.int64)
    unextended_HWC = (wide_HWC > high) & (wide_HWC <= 2 * high + 1)
    return np.where(unextended_HWC, wide_HWC - 2 * (high + 1), wide_HWC).astype(stored_HWC.dtype)


def _channels_last(samples: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    colours = 3 if samples.shape[-1:] == (3,) and samples.ndim > 2 - (layout.samples == 1) else 1
    if layout.samples == 1 and layout.photometric != "PALETTE COLOR":
        colours = 1
    samples_FHWS = samples.reshape(layout.frames, layout.rows, layout.columns, colours)
    samples_HWC = samples_FHWS.transpose(1, 2, 0, 3).reshape(layout.rows, layout.columns, -1)
    return np.ascontiguousarray(samples_HWC, dtype=samples.dtype.newbyteorder("="))


def domain_of(dataset: Dataset, layout: PixelLayout, dtype: np.dtype[Any]) -> Domain:
    """Range from BitsStored, physical scale from the rescale elements; both of what ``turned`` gives."""
    if layout.photometric == "PALETTE COLOR":
        return Domain.of_integers(dtype.name)
    low, high = (float(limit) for limit in layout.range)
    slope, intercept = (numbers(dataset, keyword, 1) for keyword in ("RescaleSlope", "RescaleIntercept"))
    scales, offsets, unit = (), (), ""
    if slope and intercept and slope[0] != 0.0 and layout.samples == 1:
        scales, offsets, unit = slope, intercept, _unit(dataset)  # type: ignore[assignment]
        if layout.is_inverted:
            scales, offsets = (-slope[0],), (slope[0] * (low + high) + intercept[0],)  # type: ignore[assignment]
    return Domain(dtype.name, low, high, unit, scales, offsets, limits=(low, high), rule="header")


def _unit(dataset: Dataset) -> str:
    named = text(dataset, "RescaleType")
    if named in RESCALE_TYPES:
        return named
    return "HU" if not named and text(dataset, "Modality") == "CT" else ""


def padding_mask(
    dataset: Dataset, layout: PixelLayout, stored_HWC: NDArray[Any], *, is_lossy: bool
) -> NDArray[np.bool_] | None:
    """True at padding (PS3.3 C.7.5.1.1.2), per channel; ``None`` where there is none.

    Lossy compression rings around padding, below its value where that is negative: that is padding too.
    """
    ends = _padding_range(dataset, layout, is_lossy=is_lossy)
    if ends is None:
        return None
    mask_HWC: NDArray[np.bool_] = (stored_HWC <= ends[1]) & (stored_HWC >= ends[0])
    return mask_HWC if mask_HWC.any() else None


def apart_from_padding(
    dataset: Dataset, layout: PixelLayout, stored_HWC: NDArray[Any], *, is_lossy: bool
) -> NDArray[Any]:
    """What a model made is no padding: values that would be are moved just above it, else below it."""
    ends = _padding_range(dataset, layout, is_lossy=is_lossy)
    if ends is None:
        return stored_HWC
    (least, most), (low, high) = ends, layout.range
    hit_HWC = (stored_HWC <= most) & (stored_HWC >= least)
    beside = most + 1 if most < high else least - 1
    if not hit_HWC.any() or not low <= beside <= high:
        return stored_HWC
    return np.where(hit_HWC, stored_HWC.dtype.type(beside), stored_HWC)


def _padding_range(dataset: Dataset, layout: PixelLayout, *, is_lossy: bool) -> tuple[float, float] | None:
    """Least and greatest stored value that is padding; ``None`` where the header names none."""
    if dataset.get("PixelPaddingValue") is None or layout.samples != 1:
        return None
    ends = [_stored_value(dataset, "PixelPaddingValue", layout)]
    if dataset.get("PixelPaddingRangeLimit") is not None:
        ends.append(_stored_value(dataset, "PixelPaddingRangeLimit", layout))
    return -math.inf if is_lossy and max(ends) < 0 else min(ends), max(ends)


def _stored_value(dataset: Dataset, keyword: str, layout: PixelLayout) -> int:
    """An attribute in the representation of the pixels, whichever of US and SS the writer chose."""
    value, bits = whole_number(dataset, keyword), layout.bits_allocated
    value &= (1 << bits) - 1
    return value - (1 << bits) if layout.is_signed and value >> bits - 1 else value


def check_bits(layout: PixelLayout, stored_HWC: NDArray[Any], padding_HWC: NDArray[np.bool_] | None) -> None:
    """Refuses pixels that BitsStored cannot hold: clipping them would change the image in silence."""
    if layout.photometric == "PALETTE COLOR":
        return
    low, high = layout.range
    outside_HWC = (stored_HWC < low) | (stored_HWC > high)
    if padding_HWC is not None:
        outside_HWC &= ~padding_HWC
    if outside_HWC.any():
        raise ImageError(
            "UNSUPPORTED_DTYPE",
            "BitsStored does not cover the pixel values (or overlays lie in their upper bits); "
            "correct the DICOM header",
        )
