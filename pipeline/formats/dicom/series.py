"""The images of one DICOM series: do they belong together, and in which order (PS3.3 C.7.6.2.1).

Pure functions over what the headers say. A member holds digests of identifiers, never identifiers.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from pipeline.errors import ImageError
from pipeline.formats.base import codec_errors
from pipeline.formats.dicom.classes import NEED_POSITION
from pipeline.formats.dicom.dataset import PIXEL_KEYWORDS, numbers, read_dataset, text, whole_number
from pipeline.formats.dicom.geometry import is_orthonormal
from pipeline.formats.dicom.silence import silence
from pipeline.hashing import sha256_hex

Vector = tuple[float, ...]

_PIXELS = frozenset(map(tag_for_keyword, PIXEL_KEYWORDS))
_SAME_COSINE = 1e-4
_SAME_SPACING = 1e-3
_SAME_PLACE = 1e-3
"""Millimetres between two slices that count as one place: headers are written with three decimals."""


@dataclass(frozen=True)
class Member:
    """What the header of one image says of its series and its place."""

    series: str
    """Digest of SeriesInstanceUID."""
    instance: str
    """Digest of SOPInstanceUID."""
    frame_of_reference: str
    """Digest of FrameOfReferenceUID; empty where there is none."""
    kind: tuple[str | int, ...]
    """SOP class, photometric interpretation, rows, columns, frames, samples, bits, sign."""
    position: Vector | None
    """ImagePositionPatient: the centre of the first pixel in mm."""
    directions: Vector | None
    """ImageOrientationPatient: unit vectors along a row and along a column."""
    spacing: Vector | None
    """PixelSpacing: mm between rows and between columns."""

    @property
    def normal(self) -> Vector:
        """Unit vector across the slice: row direction x column direction."""
        assert self.directions is not None
        x, y = self.directions[:3], self.directions[3:]
        return x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]


def reaches_pixels(head: bytes) -> bool:
    """Whether the pixel data of the object itself begin in its first bytes.

    By walking its elements: icons and private sequences hold elements of the same tag.
    """
    reached = False

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal reached
        reached = tag in _PIXELS
        return reached

    with silence(), suppress(Exception):  # the head may end anywhere
        read_partial(io.BytesIO(head), stop, force=True)
    return reached


def read_member(head: bytes) -> Member:
    """The member of an object's first bytes, which must hold everything before the pixel data.

    Raises ``ImageError`` with ``BAD_GEOMETRY`` for numbers that are none, or ``UNREADABLE``.
    """
    with silence(), codec_errors("DICOM"):
        dataset = read_dataset(head, pixels=False)
        directions = numbers(dataset, "ImageOrientationPatient", 6)
        if directions is not None and not is_orthonormal(directions):
            raise ImageError("BAD_GEOMETRY", "ImageOrientationPatient is no pair of unit vectors")
        return Member(
            series=_digest(dataset, "SeriesInstanceUID"),
            instance=_digest(dataset, "SOPInstanceUID"),
            frame_of_reference=_digest(dataset, "FrameOfReferenceUID"),
            kind=(
                text(dataset, "SOPClassUID"),
                text(dataset, "PhotometricInterpretation"),
                *(whole_number(dataset, keyword) for keyword in ("Rows", "Columns", "BitsStored")),
                whole_number(dataset, "NumberOfFrames", 1),
                whole_number(dataset, "SamplesPerPixel", 1),
                whole_number(dataset, "PixelRepresentation", 0),
            ),
            position=numbers(dataset, "ImagePositionPatient", 3),
            directions=directions,
            spacing=numbers(dataset, "PixelSpacing", 2),
        )


def series_of(head: bytes) -> str:
    """Digest of SeriesInstanceUID; empty where these bytes do not hold it, or are no DICOM."""
    try:
        with silence(), codec_errors("DICOM"):
            return _digest(read_dataset(head, pixels=False), "SeriesInstanceUID")
    except ImageError:
        return ""


def check_series(heads: Sequence[bytes]) -> None:
    """Whether the images of one series can be restored together.

    Slices of CT and MR must lie side by side, as ``stacked`` has it; of other images (views of CR and DX,
    clips of US) none may be there twice. Raises ``ImageError`` as ``read_member`` and ``stacked`` do.
    """
    members = [read_member(head) for head in heads]
    if any(each.kind[0] in NEED_POSITION for each in members):
        stacked(members)
    else:
        _check_distinct(members)


def stacked(members: Sequence[Member]) -> tuple[int, ...]:
    """The order of the slices along their normal, as indices into ``members``.

    Raises ``ImageError``: ``SERIES_INCONSISTENT`` for several series, kinds, orientations or spacings in
    one, an image twice, or two slices at one place; ``BAD_GEOMETRY`` where a place is not known.
    """
    if not members:
        raise ImageError("SERIES_INCONSISTENT", "a series of no images")
    check_same(members)
    if len(members) == 1:
        return (0,)
    missing = sum(None in (each.position, each.directions, each.spacing) for each in members)
    if missing:
        raise ImageError(
            "BAD_GEOMETRY",
            "ImagePositionPatient, ImageOrientationPatient or PixelSpacing is missing in "
            f'{missing} of {len(members)} images; with series = "single" in the dataset each goes by itself',
        )
    _check_parallel(members)
    places = [_along(member, members[0].normal) for member in members]
    order = tuple(sorted(range(len(members)), key=places.__getitem__))
    same = sum(places[b] - places[a] < _SAME_PLACE for a, b in pairwise(order))
    if same:
        raise ImageError(
            "SERIES_INCONSISTENT",
            f"{same} of {len(members)} slices have the place of another; of times and echoes write "
            'series = "together" in the dataset',
        )
    return order


def check_same(members: Sequence[Member]) -> None:
    """``ImageError("SERIES_INCONSISTENT")`` where images are not of one series, or one is there twice."""
    first = members[0]
    for attribute, name in _SHARED.items():
        if any(getattr(each, attribute) != getattr(first, attribute) for each in members):
            raise ImageError("SERIES_INCONSISTENT", f"{name} differ within the series")
    _check_distinct(members)


def _check_distinct(members: Sequence[Member]) -> None:
    if len({each.instance for each in members}) < len(members):
        raise ImageError("SERIES_INCONSISTENT", "one SOPInstanceUID is there twice; remove the copy")


_SHARED = {
    "series": "SeriesInstanceUID",
    "frame_of_reference": "FrameOfReferenceUID",
    "kind": "SOPClassUID, size or kind of pixels",
}


def _check_parallel(members: Sequence[Member]) -> None:
    first = members[0]
    for each in members[1:]:
        assert each.directions is not None
        assert first.directions is not None
        assert each.spacing is not None
        assert first.spacing is not None
        if math.dist(each.directions, first.directions) > _SAME_COSINE * math.sqrt(6):
            raise ImageError(
                "SERIES_INCONSISTENT",
                "ImageOrientationPatient differs: localizers among slices; they go with "
                'series = "together" in the dataset',
            )
        if math.dist(each.spacing, first.spacing) > _SAME_SPACING * max(first.spacing):
            raise ImageError("SERIES_INCONSISTENT", "PixelSpacing differs within the series")


def _along(member: Member, normal: Vector) -> float:
    assert member.position is not None
    return math.fsum(a * b for a, b in zip(member.position, normal, strict=True))


def _digest(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    return sha256_hex(value.encode())[:32] if value else ""
