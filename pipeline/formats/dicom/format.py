"""DICOM: classic images are read and written as derived images (PS3.3 A.2-A.8, PS3.5, PS3.10).

Needs pydicom (extra ``dicom``), which is imported when the first DICOM object is met.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from pipeline.errors import ImageError
from pipeline.formats.base import Limits, codec_errors
from pipeline.imaging.image import Image

_PREFIX_END = 132
_SHORT_VRS = frozenset({b"AE", b"CS", b"DA", b"LO", b"SH", b"TM", b"UI", b"UL", b"US"})


@dataclass(frozen=True)
class Dicom:
    """Stored values of CT, MR, CR, DX, NM, US and secondary captures, frames as channels.

    MONOCHROME1 (0 is white) is turned over on reading and back on writing, so that a model sees
    light tissue light. Pixels of the padding value are not valid and come back exactly.
    """

    name = "dicom"
    extensions = (".dcm",)
    lossless = True
    read_only = False
    summary = "classic CT, MR, CR, DX, NM, US, captures; written as derived images, lossless [dicom]"

    def recognises(self, data: bytes) -> bool:
        """By ``DICM`` at 128, or two elements of group 0008 (or 0002) at the very start, in order."""
        return data[128:_PREFIX_END] == b"DICM" or _starts_with_elements(data)

    def decode(self, data: bytes, limits: Limits) -> Image:
        """Stored integers; the range from BitsStored, physical units from the rescale elements."""
        with codec_errors("DICOM"):
            image: Image = _part("reading").read_image(data, limits)
            return image

    def check(self, image: Image) -> None:
        """As ``encode`` says, by the header alone."""
        _part("writing").check_image(image)

    def encode(self, image: Image) -> bytes:
        """A derived image with new UIDs, whatever the pixels: also a mere copy is one.

        ``ImageError`` with the reason of the entry ``READ_ONLY``, ``BAD_GEOMETRY`` where the grid
        changes and the header does not say where it is, or ``UNENCODABLE``.
        """
        written: bytes = _part("writing").write_image(image)
        return written

    def series_of(self, head: bytes) -> str:
        """Digest of SeriesInstanceUID out of an object's first bytes; empty where they do not hold it."""
        series: str = _part("series").series_of(head)
        return series

    def ends_in(self, head: bytes) -> bool:
        """Whether an object's first bytes hold its whole header: its own pixels begin in them."""
        ends: bool = self.recognises(head) and _part("series").reaches_pixels(head)
        return ends

    def check_series(self, heads: Sequence[bytes]) -> None:
        """``ImageError`` where the images with these headers do not make a series."""
        _part("series").check_series(heads)


def _part(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"pipeline.formats.dicom.{name}")
    except ModuleNotFoundError:
        raise ImageError(
            "UNREADABLE", "DICOM is read and written by pydicom; pip install 'restora[dicom]'"
        ) from None


def _starts_with_elements(data: bytes) -> bool:
    """Whether the first two elements, little endian, are of group 0002 or 0008 and in ascending order."""
    first = _element_at(data, 0)
    second = first and _element_at(data, first[1])
    return bool(first and second and first[0] < second[0])


def _element_at(data: bytes, start: int) -> tuple[int, int] | None:
    """Tag and end of a short element, explicit or implicit VR; ``None`` for anything else."""
    if len(data) < start + 8:
        return None
    group, element, vr, length = struct.unpack_from("<HH2sH", data, start)
    if vr == b"OB" and len(data) >= start + 12:
        start, length = start + 4, struct.unpack_from("<I", data, start + 8)[0]
    elif vr not in _SHORT_VRS:
        length = struct.unpack_from("<I", data, start + 4)[0]
    if group not in (0x0002, 0x0008) or element > 0x0100 or length > 256 or length % 2:
        return None
    return group << 16 | element, start + 8 + length
