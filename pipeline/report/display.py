"""How an image of any depth and number of bands becomes a picture: eight bits, one contrast a sheet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.geotiff.header import RasterHeader
from pipeline.imaging.image import Image
from pipeline.report.pixels import Pixels

PERCENTILES = (0.5, 99.5)
"""Of the values that get the full contrast where the range of the type says little about the picture."""


@dataclass(frozen=True)
class Display:
    """What is black, what is white, and which bands are red, green and blue; made of a sheet's reference."""

    bands: tuple[int, ...]
    black: tuple[float, ...]
    """Per shown band, as a fraction of the image's range."""
    white: tuple[float, ...]
    note: str
    """What the page says of it; empty for photographs, which are shown as they are."""

    @classmethod
    def of(cls, image: Image) -> Display:
        """Photographs as they are; deeper images from one percentile to the other, each of many bands alone.

        Colours are the bands that the file says; of more than three that it says nothing of, the first three
        are taken for blue, green and red, as on satellites.
        """
        channels = image.size[2]
        bands, name = _colours(image)
        if channels <= 3 and image.domain.dtype == "uint8":
            return cls(bands, (0.0,) * len(bands), (1.0,) * len(bands), name)
        unit_HWC = image.to_unit()[:, :, bands]
        valid = unit_HWC if image.valid_HW is None else unit_HWC[image.valid_HW]
        seen = valid.reshape(-1, len(bands)).astype(np.float64)
        seen = seen[np.isfinite(seen).all(axis=1)]
        if channels == 3:  # one contrast for all, so that colours stay
            seen = np.repeat(seen.reshape(-1, 1), 3, axis=1)
        if not len(seen):
            return cls(bands, (0.0,) * len(bands), (1.0,) * len(bands), name)
        ends = np.percentile(seen, PERCENTILES, axis=0)
        ends[1] = np.where(ends[1] > ends[0], ends[1], ends[0] + 1)
        contrast = "each with a contrast of its own" if channels > 3 else ""
        if len(bands) == 1:
            contrast = _contrast(image, ends)
        return cls(bands, tuple(ends[0]), tuple(ends[1]), ", ".join(filter(None, (name, contrast))))

    def __call__(self, image: Image) -> Pixels:
        """Uint8, H x W x 1 or 3."""
        unit_HWC: NDArray[np.float64] = image.to_unit()[:, :, self.bands].astype(np.float64)
        stretched = (unit_HWC - self.black) / (np.subtract(self.white, self.black))
        return np.asarray(np.nan_to_num(stretched * 255).round().clip(0, 255), np.uint8)


def _colours(image: Image) -> tuple[tuple[int, ...], str]:
    """The bands to show, and what to say of them; nothing where all are shown as they come."""
    channels, header = image.size[2], image.metadata.entries.get(RASTER_HEADER)
    declared = (
        header.colours if isinstance(header, RasterHeader) and len(header.channels) == channels else None
    )
    if channels < 3:
        return (0,), "band 1" if channels == 2 else ""
    if channels == 3 and declared in (None, (0, 1, 2)):
        return (0, 1, 2), ""
    bands = declared or (2, 1, 0)
    says = "which the file says are" if declared else "taken for"
    return bands, f"bands {', '.join(str(band + 1) for band in bands)}, {says} red, green and blue"


def _contrast(image: Image, ends: NDArray[np.float64]) -> str:
    """``contrast from -160 to 240 HU``: in physical units where the file has them."""
    domain = image.domain
    stored = domain.low + ends[:, 0] * (domain.high - domain.low)
    if len(set(domain.scales)) == 1 and len(set(domain.offsets)) == 1:
        stored = stored * domain.scales[0] + domain.offsets[0]
    return f"contrast from {stored[0]:.4g} to {stored[1]:.4g} {domain.unit}".rstrip()
