"""One image of a training: fetched, decoded, checked, as it is stored.

Shapes: H and W height and width, C channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.imaging.image import Image
from pipeline.quarantine import read_failure, reason_and_message
from pipeline.storage.folder import Folder

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
    """uint8 or uint16 as stored, else float32 in [0, 1]."""

    @property
    def span(self) -> float:
        """The stored value that means 1."""
        is_integer = self.pixels_HWC.dtype.kind == "u"
        return float(np.iinfo(self.pixels_HWC.dtype).max) if is_integer else 1.0

    @property
    def digest(self) -> str:
        """SHA-256 over shape, dtype and pixels."""
        total = hashlib.sha256(f"{self.pixels_HWC.shape} {self.pixels_HWC.dtype} ".encode())
        total.update(np.ascontiguousarray(self.pixels_HWC).data)
        return total.hexdigest()


def decoded(folder: Folder, key: str, limits: Limits) -> Image | Exception:
    """The image, or why there is none."""
    try:
        try:
            data = folder.read(key)
        except Exception as error:
            raise read_failure(error) from error
        return decode(data, limits)
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
