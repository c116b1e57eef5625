"""A DICOM object as a pydicom dataset, and its numbers, with errors that quote nothing of it.

Errors name attribute keywords and never values: any value may identify a patient.
"""

from __future__ import annotations

import io
import math
import struct
from typing import Any

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pipeline.errors import ImageError
from pipeline.formats.dicom.inflating import inflate

PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_UNDEFINED = 0xFFFFFFFF


def read_dataset(data: bytes, *, pixels: bool = True) -> FileDataset:
    """The dataset, its transfer syntax always set; on request nothing from the pixels on."""
    dataset = pydicom.dcmread(io.BytesIO(_inflated(data)), force=True, stop_before_pixels=not pixels)
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, is_little = dataset.original_encoding
        little = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = little if is_little else ExplicitVRBigEndian
    return dataset


def check_whole(dataset: FileDataset) -> None:
    """``ImageError("TRUNCATED")`` for an object that was cut; before any element was looked at.

    pydicom stops at an early end without a word: with a short value, or without anything."""
    last = next(reversed(list(dataset.elements())), None)
    if last is None:
        raise ImageError("TRUNCATED", "the DICOM object ends inside an element, or holds none")
    if (
        isinstance(last, RawDataElement)
        and last.length != _UNDEFINED
        and len(last.value or b"") < last.length
    ):
        raise ImageError("TRUNCATED", "the DICOM object ends inside an element")


def transfer_syntax(dataset: Dataset) -> UID:
    """The transfer syntax, known to be one; ``ImageError("UNSUPPORTED_TRANSFER_SYNTAX")`` otherwise."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not isinstance(syntax, UID) or not syntax.is_transfer_syntax or syntax.is_private:
        raise ImageError("UNSUPPORTED_TRANSFER_SYNTAX", "TransferSyntaxUID names no standard encoding")
    return syntax


def header_bytes(data: bytes, dataset: FileDataset) -> bytes:
    """The object without its pixel data, all else byte for byte; before any element was looked at."""
    data = _inflated(data)
    keyword = next(keyword for keyword in PIXEL_KEYWORDS if keyword in dataset)
    element: Any = dataset.get_item(keyword)
    assert isinstance(element, RawDataElement), "looked at before"
    undefined = element.length == _UNDEFINED
    end = element.value_tell + (len(element.value or b"") + 8 if undefined else element.length)
    tag = struct.pack("<HH" if element.is_little_endian else ">HH", element.tag.group, element.tag.element)
    start = data.rfind(tag, element.value_tell - 12, element.value_tell)
    if start < 0:
        raise ImageError("UNREADABLE", f"{keyword} does not begin where the DICOM object says")
    # Zeros behind the last element are padding to a block of some medium, and would be read as elements.
    return data[:start] + (data[end:] if data[end:].strip(b"\0") else b"")


def whole_number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """An integer attribute; ``default`` where it is absent or empty, ``ImageError`` where it is no number."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            value = default
        return int(value)
    except Exception:
        raise ImageError(
            "UNREADABLE", f"{keyword} is missing or not a whole number; correct the DICOM header"
        ) from None


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """``count`` decimals, ``None`` where absent or empty; else ``ImageError("BAD_GEOMETRY")``."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "" or value == []:
            return None
        values = tuple(float(each) for each in (value if count > 1 else [value]))
    except Exception:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        wanted = "a finite number" if count == 1 else f"{count} finite numbers"
        raise ImageError("BAD_GEOMETRY", f"{keyword} does not hold {wanted}; correct the DICOM header")
    return values


def text(dataset: Dataset, keyword: str) -> str:
    """A single string without padding; empty where absent, broken or of several values."""
    try:
        value = dataset.get(keyword)
    except Exception:
        return ""
    return str(value).strip("\0 ") if isinstance(value, str) else ""


def _inflated(data: bytes) -> bytes:
    """A deflated object as the same object in Explicit VR Little Endian; any other as it is.

    pydicom would inflate it too, but without a limit, and the places of its elements would be lost.
    """
    deflated, plain = (str(uid).encode() for uid in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))
    if data[128:140] != b"DICM\x02\0\0\0UL\x04\0":
        return data
    end = 144 + int.from_bytes(data[140:144], "little")
    meta = data[:end]
    if b"UI" + len(deflated).to_bytes(2, "little") + deflated not in meta:
        return data
    return inflate(data[end:], meta.replace(deflated, plain.ljust(len(deflated), b"\0")))
