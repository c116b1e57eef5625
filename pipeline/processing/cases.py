"""What passes through the device: an image as loaded, a case of it, and the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.conditions.given import NOTHING, Told
from pipeline.degradation.degradation import Degraded
from pipeline.imaging import nodata
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import begin_to_store, left_alone, returns_exactly
from pipeline.imaging.transfer import ARRIVED, Download
from pipeline.units import Source


@dataclass(frozen=True)
class Reference:
    """The true image of a source, as it was found; sized and channelled as the source asks."""

    image: Image
    """Valid where it counts: where both have data and no mask says otherwise."""
    sha256: str
    size: int
    key: str
    """Its key among the references; an opaque id where that may not be told."""
    uri: str | None
    """Where it is stored; ``None`` where that may not be told."""
    scale: int
    """How many times larger it is than the source."""


@dataclass(frozen=True)
class Loaded:
    """A source that was fetched and decoded, with its reference where it has one."""

    source: Source
    sha256: str
    size: int
    image: Image
    reference: Reference | None = None
    told: Told = NOTHING
    """What is known of how it came to be."""

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of all that goes to the device."""
        images = [self.image] if self.reference is None else [self.image, self.reference.image]
        return [each.size[:2] for each in images]

    @property
    def nbytes(self) -> int:
        """Of all its pixels."""
        held = self.image.pixels_HWC.nbytes + self.told.nbytes
        return held if self.reference is None else held + self.reference.image.pixels_HWC.nbytes


@dataclass(frozen=True)
class Case:
    """One image under one degradation, on the device."""

    loaded: Loaded
    reference: Image
    """The source, cut to a multiple of the degradation's scale; of a pair, the reference."""
    reference_1CHW: Tensor
    degraded: Degraded
    fields: dict[str, Any]
    found: Image | None = None
    """Of a pair, the source: what is restored is like it, whatever type the reference has."""

    @property
    def model(self) -> Image:
        """The image whose type, range and header the restored one gets."""
        return self.reference if self.found is None else self.found

    def degraded_image(self) -> Image:
        """The restorer's input as it would be saved: rounded and clipped to the source's dtype."""
        image, download = self.degraded_later()
        download.wait()
        return image

    def degraded_later(self) -> tuple[Image, Download]:
        """The same, to be read once it is here."""
        download = begin_to_store(self.degraded.image_BCHW, self.model.domain)
        return self.with_pixels(download, 0, self.degraded.image_BCHW[0]), download

    def with_pixels(self, download: Download, place: int, image_CHW: Tensor) -> Image:
        """The source with other pixels, made of this tensor; what was left alone is the source's own.

        They are those at a place of the download, and to be read once it is here.
        """
        pixels_HWC = download.pixels_BHWC[place]
        exactly = returns_exactly(self.model.domain)
        if not exactly or self.model.valid_HW is not None:  # then they are looked at here
            download.wait()
        if exactly:
            return self.model.with_pixels(pixels_HWC)
        known = [self.degraded.image_BCHW[0]]
        known += [self.reference_1CHW[0]] if self.found is None else []
        if all(each.shape == image_CHW.shape for each in known):
            same_CHW = torch.stack([image_CHW == each for each in known]).all(dim=0)
            pixels_HWC = left_alone(pixels_HWC, self.model, same_CHW)
        return self.model.with_pixels(pixels_HWC)


@dataclass(frozen=True)
class Failure:
    """An image that could not be degraded."""

    loaded: Loaded
    error: Exception


@dataclass(frozen=True)
class Restored:
    """What a restorer made of a case; no image where there is none."""

    image: Image | None
    fields: dict[str, Any]
    download: Download = ARRIVED
    uncertainty: tuple[Image, Download] | None = None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """One image x degradation x restorer: what was made of it, or why nothing was."""

    loaded: Loaded
    degradation: str
    restorer: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Columns of the row that are known here."""
    case: Case | None = None
    """The image as it was degraded, on the device; ``None`` where that failed."""
    restored: Image | None = None
    """In the source's dtype, rounded and clipped: what is stored is what was scored."""
    download: Download = ARRIVED
    """The restored pixels are to be read once it is here."""
    uncertainty: tuple[Image, Download] | None = None
    """Half-widths of its intervals, where they are to be stored."""
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """For a page, where it was asked for: see ``pipeline.processing.trust_columns``."""
    error: Exception | None = None
    stage: str = ""


def radiometry_of(image: Image) -> dict[str, Any]:
    """Columns that say which stored values were 0 and 1, and how much of the image holds no data."""
    domain = image.domain
    return {
        "data_low": domain.low,
        "data_high": domain.high,
        "data_range_rule": domain.rule,
        "nodata_share": nodata.share(image),
    }
