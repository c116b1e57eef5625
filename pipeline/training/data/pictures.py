"""One image of a training: fetched, decoded, checked, as it is stored.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.doors.archive import Archive, said_of
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.said import image_with_said
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import in_units
from pipeline.jobs.job import Dataset
from pipeline.privacy.medical import refuse_undeclared
from pipeline.processing.pairs import facing, scale_of
from pipeline.quarantine import read_failure, reason_and_message

READERS = 4
"""Images fetched and decoded at a time."""
LUMA = (0.299, 0.587, 0.114)
"""BT.601: how much of red, green and blue grey is."""


@dataclass(frozen=True)
class Picture:
    """One decoded image."""

    name: str
    """Dataset and key."""
    pixels_HWC: NDArray[Any]
    """uint8 or uint16 as stored, else float32 in [0, 1]; of a pair, those of the reference."""
    found_HWC: NDArray[Any] | None = None
    """Of a pair, the image as it was found: as large as the reference, or a whole number of times smaller."""

    @property
    def planes(self) -> list[NDArray[Any]]:
        """All pixels that it holds."""
        return [self.pixels_HWC] if self.found_HWC is None else [self.pixels_HWC, self.found_HWC]

    @property
    def nbytes(self) -> int:
        """Of all its pixels."""
        return sum(each.nbytes for each in self.planes)

    @property
    def scale(self) -> int:
        """How many times smaller the found image is."""
        return 1 if self.found_HWC is None else self.pixels_HWC.shape[0] // self.found_HWC.shape[0]

    @property
    def digest(self) -> str:
        """SHA-256 over shape, dtype and pixels."""
        total = hashlib.sha256()
        for each in self.planes:
            total.update(f"{each.shape} {each.dtype} ".encode())
            total.update(np.ascontiguousarray(each).data)
        return total.hexdigest()


def span_of(pixels_HWC: NDArray[Any]) -> float:
    """The stored value that means 1."""
    return float(np.iinfo(pixels_HWC.dtype).max) if pixels_HWC.dtype.kind == "u" else 1.0


@dataclass(frozen=True)
class Takes:
    """What a training takes of its images."""

    channels: int
    smallest: int
    """The least side, that of a crop."""
    pairs: bool = False
    """Whether every image needs a reference."""
    scale: int = 1
    """How many times the network enlarges."""


def decoded(archive: Archive, at: str, limits: Limits, dataset: Dataset) -> Image | Exception:
    """The image with the physical range of its dataset, or why there is none."""
    try:
        try:
            data = archive.read(at)
        except Exception as error:
            raise read_failure(error) from error
        refuse_undeclared(dataset.private, data)
        image = image_with_said(decode(data, limits), said_of(archive, at))
        return in_units(image, dataset.radiometry)
    except Exception as error:
        return error


def usable(name: str, loaded: Image | Exception, channels: int, smallest: int) -> Picture:
    """The picture of ``channels``; ``ImageError`` where it cannot be trained on."""
    if isinstance(loaded, Exception):
        raise ImageError(*reason_and_message(loaded))
    height, width, _ = loaded.size
    if min(height, width) < smallest:
        raise ImageError("TOO_SMALL", f"{height} x {width} pixels are less than data.crop = {smallest}")
    if loaded.valid_HW is not None and not loaded.valid_HW.all():
        raise ImageError("UNSUPPORTED_DTYPE", "holds pixels without data; cut them off first")
    return Picture(name, with_channels(_stored(loaded), channels))


def usable_pair(name: str, pair: tuple[Image | Exception, Image | Exception | None], takes: Takes) -> Picture:
    """The picture of an image with its reference, or of an image alone; ``ImageError`` as ``usable``.

    Both are cut to what lies on each other. A pair whose sizes do not differ as the network enlarges is none.
    """
    loaded, reference = pair
    if reference is None:
        if takes.pairs:
            raise ImageError("NO_REFERENCE", "its row of the manifest names none")
        return usable(name, loaded, takes.channels, takes.smallest)
    if isinstance(loaded, Exception):
        raise ImageError(*reason_and_message(loaded))
    if isinstance(reference, Exception):
        reason, message = reason_and_message(reference)
        raise ImageError("REFERENCE_UNREADABLE", f"its reference: {reason}: {message}")
    reference = facing(loaded, reference)
    if (scale := scale_of(loaded, reference)) != takes.scale:
        raise ImageError(
            "REFERENCE_SIZE",
            f"the reference is {scale} times as large, the network enlarges by {takes.scale}",
        )
    cut = reference.cropped(*(side * scale for side in loaded.size[:2]))
    target = usable(name, cut, takes.channels, takes.smallest)
    found = usable(name, loaded, takes.channels, takes.smallest // scale)
    return Picture(name, target.pixels_HWC, found.pixels_HWC)


def _stored(image: Image) -> NDArray[Any]:
    full = image.domain.dtype in ("uint8", "uint16") and image.domain == type(image.domain).of_integers(
        image.domain.dtype
    )
    return image.pixels_HWC if full else image.to_unit()


def with_channels(pixels_HWC: NDArray[Any], channels: int) -> NDArray[Any]:
    """Colour made grey by BT.601 and rounded, grey repeated; ``ImageError`` for other counts."""
    found = pixels_HWC.shape[2]
    if found != channels and (found, channels) not in ((3, 1), (1, 3)):
        raise ImageError("BAND_MISMATCH", f"{found} channels, the network takes {channels}")
    if found == channels:
        return np.ascontiguousarray(pixels_HWC)
    if channels == 3:
        return np.repeat(pixels_HWC, 3, axis=2)
    grey_HW1 = pixels_HWC.astype(np.float64) @ np.array(LUMA)[:, None]
    if pixels_HWC.dtype.kind == "u":
        grey_HW1 = grey_HW1.round()
    grey: NDArray[Any] = grey_HW1.astype(pixels_HWC.dtype)
    return grey
