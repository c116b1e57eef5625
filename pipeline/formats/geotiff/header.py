"""All that a raster says besides its pixels, as plain values that outlive the open file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.imaging.image import Domain

Tags = Mapping[str, str]
RED, GREEN, BLUE = 3, 4, 5
"""GDAL's numbers of these colour interpretations."""
_COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


class ControlPoint(NamedTuple):
    """A place in the image whose place on the ground is known; pixel and line count from the corner."""

    pixel: float
    line: float
    x: float
    y: float
    z: float


@dataclass(frozen=True)
class Band:
    """One band as its header describes it."""

    description: str = ""
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    interpretation: int = 0
    """GDAL's number of the colour interpretation; 0 where there is none."""
    tags: Mapping[str, Tags] = field(default_factory=dict)
    """Domain -> tags; the default domain is ``""``."""


@dataclass(frozen=True)
class RasterHeader:
    """A raster without its pixels."""

    height: int
    width: int
    bands: tuple[Band, ...]
    """Every band of the file in order, opacity included."""
    alpha: int | None = None
    """Index of the band that is the opacity."""
    crs: str = ""
    """WKT 2; empty where there is none."""
    coordinate_epoch: float | None = None
    transform: tuple[float, ...] | None = None
    """GDAL's six numbers; ``None`` where pixels are not placed by an affine transform."""
    control_points: tuple[ControlPoint, ...] = ()
    control_points_crs: str = ""
    rational: Tags = field(default_factory=dict)
    """Rational polynomial coefficients under GDAL's names."""
    nodata: str | None = None
    """As the file writes it, since some do not fit the samples' type."""
    tags: Mapping[str, Tags] = field(default_factory=dict)
    """Domain -> tags; the default domain is ``""``."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """Domain -> whole text, for the domains that hold XML: XMP and others."""
    bits: int | None = None
    """Bits a sample where they are fewer than its type has: they bound what is written, as whole bytes."""
    orientation: int = 1
    """TIFF's: 1 is upright, 2 to 8 are mirrored or turned. The pixels are as stored."""
    premultiplied: bool = False
    """Whether the colours are multiplied by the opacity."""
    mask: bytes | None = None
    """The file's own mask of valid pixels, packed; ``None`` where it has none."""

    @property
    def channels(self) -> tuple[Band, ...]:
        """The bands that are pixels."""
        return tuple(band for index, band in enumerate(self.bands) if index != self.alpha)

    def with_channels(self, index: Sequence[int]) -> RasterHeader:
        """The header of a raster of these channels alone, counted from 0, and the opacity behind them."""
        kept = [self.channels[each] for each in index]
        if self.alpha is None:
            return replace(self, bands=tuple(kept))
        return replace(self, bands=(*kept, self.bands[self.alpha]), alpha=len(kept))

    @property
    def colours(self) -> tuple[int, ...] | None:
        """Which of the channels are red, green and blue: as interpreted, else as described, in these words.

        ``None`` where neither names each of the three for one channel.
        """
        interpreted = [band.interpretation for band in self.channels]
        described = [_COLOURS.get(band.description.strip().lower()) for band in self.channels]
        for said in (interpreted, described):
            if all(said.count(colour) == 1 for colour in _COLOURS.values()):
                return tuple(said.index(colour) for colour in _COLOURS.values())
        return None

    @property
    def has_georeference(self) -> bool:
        """Whether anything places the pixels on the ground."""
        return bool(self.crs or self.transform or self.control_points or self.rational)

    def domain(self, dtype: str) -> Domain:
        """What the stored numbers mean; floats without a range of their own run from 0 to 1."""
        unit, scales, offsets = self._physical()
        low, high, limits, rule = 0.0, 1.0, None, "dtype"
        if np.dtype(dtype).kind in "iu":
            whole = np.iinfo(dtype)
            low, high = float(whole.min), float(whole.max)
            if self.bits is not None:
                least = -(2 ** (self.bits - 1)) if low else 0
                low, high, rule = float(least), float(least + 2**self.bits - 1), "header"
                limits = (low, high)
        return Domain(dtype, low, high, unit, scales, offsets, limits, rule)

    def _physical(self) -> tuple[str, tuple[float, ...], tuple[float, ...]]:
        channels = self.channels
        units = {band.unit for band in channels}
        unit = units.pop() if len(units) == 1 else ""
        if all((band.scale, band.offset) == (1.0, 0.0) for band in channels):
            return unit, (), ()
        return unit, tuple(band.scale for band in channels), tuple(band.offset for band in channels)

    def nodata_value(self, dtype: str) -> Any:
        """The stored value that means no data, in the samples' type; ``None`` where no sample can have it."""
        if self.nodata is None:
            return None
        try:
            value = float(self.nodata)
        except ValueError:
            return None
        if np.dtype(dtype).kind == "f":
            with np.errstate(over="ignore"):
                return np.dtype(dtype).type(value)
        whole = np.iinfo(dtype)
        fits = value.is_integer() and whole.min <= value <= whole.max
        return np.dtype(dtype).type(int(value)) if fits else None

    def own_mask(self) -> NDArray[np.bool_] | None:
        """The file's own mask, HW, True where it says valid."""
        if self.mask is None:
            return None
        bits = np.frombuffer(zlib.decompress(self.mask), np.uint8)
        return np.unpackbits(bits, count=self.height * self.width).reshape(self.height, self.width) > 0


def packed_mask(mask_HW: NDArray[np.bool_]) -> bytes:
    """For ``RasterHeader.mask``."""
    return zlib.compress(np.packbits(mask_HW).tobytes(), 1)
