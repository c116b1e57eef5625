"""Files that hold several images: how many, and each as a file of its own.

A page of a TIFF and a frame of a DICOM object stand alone: one that is damaged costs no other. A frame of an
animation is painted over those before it, so that all after a damaged one are lost with it.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import IO, Any, Protocol

import numpy as np
import PIL.Image
import PIL.ImageSequence
import tifffile

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.formats.base import ICC_PROFILE, Limits, codec_errors
from pipeline.formats.paged_entries import entries_of_animation, entries_of_page
from pipeline.formats.tiff.format import decode_page
from pipeline.formats.tiff.page import is_smaller_version
from pipeline.imaging.image import Domain, Image, Metadata

MOST_PAGES = 4096
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ANIMATED = (b"GIF8", b"\x89PNG", b"RIFF")
_PNG, _DEPTH = _ANIMATED[1], 24
"""Where a PNG says how many bits a sample has."""


class Pages(Protocol):
    """The images of one file, each as a file."""

    def __getitem__(self, index: int) -> bytes:
        """``ImageError`` where it is damaged, as a file of this image alone would be."""
        ...


@dataclass(frozen=True)
class PagedFormat:
    """One kind of files that may hold several images."""

    recognises: Callable[[bytes], bool]
    """By the first bytes."""
    count: Callable[[IO[bytes]], int]
    pages: Callable[[bytes, Limits], Pages]
    ending: str
    """Of a page's name."""


HEAD_BYTES = 4096


def paged_format_of(head: bytes) -> PagedFormat | None:
    """By the first ``HEAD_BYTES``; ``None`` for what is one image."""
    return next((each for each in PAGED_FORMATS if each.recognises(head)), None)


def count_pages(file: IO[bytes]) -> tuple[int, str]:
    """How many images there are, by headers, and the ending of each one's name.

    1 for what is no such file, or cannot be read at all. ``ImageError`` with ``TOO_LARGE`` for more than
    ``MOST_PAGES``.
    """
    found = paged_format_of(file.read(HEAD_BYTES))
    file.seek(0)
    if found is None:
        return 1, ""
    try:
        count = found.count(file)
    except ImageError as error:
        if error.reason == "TOO_LARGE":
            raise
        count = 1
    except Exception:  # what cannot be counted has its reason when it is decoded
        count = 1
    if count > MOST_PAGES:
        raise _too_many()
    return count, found.ending


def read_pages(data: bytes, limits: Limits) -> Pages:
    """Those of a file that ``count_pages`` counts more than one of."""
    found = paged_format_of(data[:HEAD_BYTES])
    assert found is not None, "it was counted"
    return found.pages(data, limits)


def _count_tiff(file: IO[bytes]) -> int:
    with tifffile.TiffFile(file) as tiff:
        return len(_whole(tiff))


def _count_animation(file: IO[bytes]) -> int:
    with PIL.Image.open(file, formats=("GIF", "PNG", "WEBP")) as opened:
        return int(getattr(opened, "n_frames", 1))


def _count_dicom(file: IO[bytes]) -> int:
    return int(_part("dicom").count_frames(file))


def _dicom_pages(data: bytes, _: Limits) -> Pages:
    pages: Pages = _part("dicom").DicomPages(data)
    return pages


def _count_nifti(file: IO[bytes]) -> int:
    return int(_part("nifti").count_times(file))


def _nifti_pages(data: bytes, limits: Limits) -> Pages:
    pages: Pages = _part("nifti").NiftiPages(data, limits)
    return pages


def _part(name: str) -> ModuleType:
    """Of a format whose library is an extra: without it nothing is counted, and reading says what lacks."""
    return importlib.import_module(f"pipeline.formats.{name}.paging")


class _TiffPages:
    """Each decoded when it is asked for."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._data, self._limits = data, limits

    def __getitem__(self, index: int) -> bytes:
        with codec_errors("TIFF"), tifffile.TiffFile(io.BytesIO(self._data)) as tiff:
            page = _plain(decode_page(_whole(tiff)[index], self._data, self._limits))
        return FORMATS["tiff"].encode(page)


class _Frames:
    """All of them, decoded one after the other."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self._frames = _frames_of(data, limits)

    def __getitem__(self, index: int) -> bytes:
        frame = self._frames[min(index, len(self._frames) - 1)]
        if isinstance(frame, ImageError):
            raise frame
        return FORMATS["tiff"].encode(frame)


def _whole(tiff: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """The pages but smaller versions of others, which are no images of their own."""
    found = []
    for number, page in enumerate(tiff.pages):
        if number > MOST_PAGES:
            raise _too_many()
        whole = page.aspage()
        if not is_smaller_version(whole):
            found.append(whole)
    return found


def _plain(image: Image) -> Image:
    """Without what says of the file that it holds several."""
    return replace(image, metadata=Metadata("tiff", entries_of_page(image.metadata.entries)))


def _frames_of(data: bytes, limits: Limits) -> list[Image | ImageError]:
    found: list[Any] = []
    entries: dict[str, Any] = {}
    try:
        if data.startswith(_PNG) and data[_DEPTH] > 8:  # Pillow would cut them to eight without a word
            raise ImageError(
                "UNSUPPORTED_DTYPE", "an animated PNG of 16 bits; split it into one file a frame"
            )
        with codec_errors("animation"), PIL.Image.open(io.BytesIO(data)) as opened:
            limits.check(opened.height, opened.width)
            limits.check(opened.height * int(getattr(opened, "n_frames", 1)), opened.width)
            entries = entries_of_animation(data, opened.info.get("icc_profile"))
            found.extend(np.asarray(each.convert("RGBA")) for each in PIL.ImageSequence.Iterator(opened))
        fault = None if data[:4] != b"GIF8" or data[-1:] == b";" else _ended()
    except ImageError as error:
        fault = _ended() if error.reason == "UNREADABLE" and found else error
    if fault is not None and found and fault.reason == "TRUNCATED" and data[:4] == b"GIF8":
        found.pop()  # its last rows are as the frame before left them
    return [*_images(found, entries), *([fault] if fault is not None else [])]


def _images(frames: Sequence[Any], entries: dict[str, Any]) -> list[Image]:
    """Grey where all are, with alpha where any is not opaque: frames of one scene are of one kind."""
    is_grey = all(
        (each[..., 0] == each[..., 1]).all() and (each[..., 1] == each[..., 2]).all() for each in frames
    )
    has_alpha = any((each[..., 3] < 255).any() for each in frames)
    if is_grey:  # a profile of RGB is none of grey
        entries = {name: value for name, value in entries.items() if name != ICC_PROFILE}
    return [
        Image(
            np.ascontiguousarray(each[..., : 1 if is_grey else 3]),
            Domain.of_integers("uint8"),
            Metadata("tiff", entries),
            alpha_HW=np.ascontiguousarray(each[..., 3]) if has_alpha else None,
        )
        for each in frames
    ]


def _ended() -> ImageError:
    return ImageError("TRUNCATED", "the animation ends before this frame is whole")


def _too_many() -> ImageError:
    return ImageError("TOO_LARGE", f"more than {MOST_PAGES:,} pages in one file; split it")


PAGED_FORMATS = (
    PagedFormat(FORMATS["dicom"].recognises, _count_dicom, _dicom_pages, ".dcm"),
    PagedFormat(FORMATS["nifti"].recognises, _count_nifti, _nifti_pages, ".nii"),
    PagedFormat(lambda head: head.startswith(_TIFF), _count_tiff, _TiffPages, ".tif"),
    PagedFormat(lambda head: head.startswith(_ANIMATED), _count_animation, _Frames, ".tif"),
)
"""Every kind. DICOM comes first: its preamble may be the header of a TIFF (PS3.10, 7.1)."""
