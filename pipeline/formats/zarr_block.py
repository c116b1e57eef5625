"""A block of a Zarr array: how it comes out of the door, and goes back (``pipeline.doors.zarr``)."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import Limits, codec_errors, refuse_pixels
from pipeline.formats.gaps import pack_gaps, put_back_gaps
from pipeline.formats.grid import Grid
from pipeline.formats.nodata import apart_from
from pipeline.formats.zarr_container import ENDING, MAGIC, Header, pack, unpack
from pipeline.imaging.image import Domain, Image, Metadata

HEADER = "zarr_header"
"""Metadata entry: the ``Header`` of the block."""
GAPS = "zarr_gaps"
"""Metadata entry: values that are no measurements, packed."""
Nodata = float | str | tuple[float | str, ...] | None
"""As ``Header.nodata``."""
_TYPES = ("uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@dataclass(frozen=True)
class ZarrBlock:
    """Samples of one block, bands as channels; what is written is the block without its margin."""

    name = "zarr"
    extensions = (ENDING,)
    lossless = True
    read_only = False
    summary = "blocks of Zarr arrays, out of a store that is one and back into it"

    def recognises(self, data: bytes) -> bool:
        """By its first line."""
        return data.startswith(MAGIC)

    def decode(self, data: bytes, limits: Limits) -> Image:
        """The samples; those of ``_FillValue``, NaN and of chunks that were never written are not valid."""
        with codec_errors("Zarr"):
            header, samples_CHW = unpack(data)
        if header.dtype not in _TYPES:
            raise ImageError("UNSUPPORTED_DTYPE", f"samples of {header.dtype}; {', '.join(_TYPES)} are known")
        limits.check(*header.shape[1:])
        samples_HWC = np.ascontiguousarray(samples_CHW.transpose(1, 2, 0))
        gaps_HWC = _gaps(header, samples_HWC)
        entries: dict[str, Any] = {HEADER: header}
        valid_HW = None
        if gaps_HWC.any():
            entries[GAPS] = pack_gaps(samples_HWC, gaps_HWC)
            valid_HW = np.asarray(~gaps_HWC.any(axis=2))
            if not valid_HW.any():
                raise ImageError("ALL_NODATA", "not one pixel of the block holds data in every band")
        return Image(samples_HWC, _domain(header), Metadata(self.name, entries), valid_HW=valid_HW)

    def check(self, image: Image) -> None:
        """As ``encode`` says."""
        header = image.metadata.entries.get(HEADER)
        bands = None if header is None else header.shape[0]
        if header is None or image.alpha_HW is not None or bands != image.size[2]:
            raise refuse_pixels(
                image, "a Zarr block", "bands of an array it came from", "choose output_format tiff"
            )
        grid = Grid.between(header.shape[1:], image.size[:2])
        if grid.factor < 1 and not header.whole:
            raise ImageError(
                "BAD_GEOMETRY", "a part of an array cannot be shrunk by itself; raise tile of the store"
            )

    def encode(self, image: Image) -> bytes:
        """The block without its margin. ``UNENCODABLE`` for an image that came out of no array."""
        self.check(image)
        header: Header = image.metadata.entries[HEADER]
        grid = Grid.between(header.shape[1:], image.size[:2])
        values = values_of(header.nodata, image.pixels_HWC.dtype)
        pixels_HWC = image.pixels_HWC
        if header.valid is not None:  # what a model made is a measurement
            pixels_HWC = np.clip(pixels_HWC, *_ends(header)).astype(pixels_HWC.dtype)
        samples_HWC = apart_from(pixels_HWC, values, _ends(header))
        if packed := image.metadata.entries.get(GAPS):
            samples_HWC = put_back_gaps(samples_HWC, packed, grid, header.shape[1:])
        if header.core is not None:
            top, left, height, width = (int(each * grid.factor) for each in header.core)
            samples_HWC = samples_HWC[top : top + height, left : left + width]
        samples_CHW = samples_HWC.transpose(2, 0, 1)
        return pack(Header(header.dtype, samples_CHW.shape), samples_CHW)


def _domain(header: Header) -> Domain:
    """The range of the type, as of rasters; floats from 0 to 1."""
    plain = (header.scale, header.offset) == (1.0, 0.0)
    scales, offsets = ((), ()) if plain else ((header.scale,), (header.offset,))
    low, high = 0.0, 1.0
    if np.dtype(header.dtype).kind in "iu":
        whole = np.iinfo(header.dtype)
        low, high = float(whole.min), float(whole.max)
    limits = None if header.valid is None else _ends(header)
    return Domain(header.dtype, low, high, header.unit, scales, offsets, limits)


def _ends(header: Header) -> tuple[float, float]:
    """Least and greatest sample that is a measurement and of the type."""
    type_ = np.dtype(header.dtype)
    whole = np.iinfo(type_) if type_.kind in "iu" else np.finfo(type_)
    least, most = header.valid or (-math.inf, math.inf)
    if type_.kind in "iu":
        least, most = np.ceil(least), np.floor(most)
    return max(float(whole.min), float(least)), min(float(whole.max), float(most))


def _gaps(header: Header, samples_HWC: NDArray[Any]) -> NDArray[np.bool_]:
    gaps_HWC = np.zeros(samples_HWC.shape, np.bool_)
    gaps_HWC |= holds_no_data(samples_HWC, header.nodata, header.valid)
    for top, bottom, left, right in header.absent:
        gaps_HWC[top:bottom, left:right] = True
    return gaps_HWC


def holds_no_data(
    samples: NDArray[Any], nodata: Nodata, valid: tuple[float, float] | None = None
) -> NDArray[np.bool_]:
    """True at samples that are no measurements: of one of the values that say so, outside the least and the
    greatest that is one, NaN or infinite."""
    missing = np.zeros(samples.shape, np.bool_)
    if samples.dtype.kind == "f":
        missing |= ~np.isfinite(samples)
    for value in values_of(nodata, samples.dtype):
        missing |= samples == value
    if valid is not None:
        missing |= (samples < valid[0]) | (samples > valid[1])
    return missing


def values_of(nodata: Nodata, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """The values in the samples' type, without NaN and those that no sample can have."""
    told = nodata if isinstance(nodata, tuple) else () if nodata is None else (nodata,)
    found = (_number(each) for each in told)
    if dtype.kind not in "iu":
        return tuple(dtype.type(each) for each in found if not np.isnan(each))
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    return tuple(dtype.type(int(each)) for each in found if each.is_integer() and least <= each <= most)


def _number(told: float | str) -> float:
    """NaN for what is none; xarray writes some as base64."""
    try:
        return float(told)
    except ValueError:
        try:
            raw = base64.b64decode(str(told), validate=True)
        except (binascii.Error, ValueError):
            return float("nan")
    return float(np.frombuffer(raw, "<f8")[0]) if len(raw) == 8 else float("nan")
