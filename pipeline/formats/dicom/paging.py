"""The frames of a DICOM object, each as an object of its own, as it was encoded (PS3.3 C.12.3, PS3.4 Z.1.3).

Nothing is decoded: a frame that is damaged costs itself. A frame has an identity of its own, and says out of
which object it is; what is derived of it refers to that object and the number of the frame.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sized
from typing import IO

import numpy as np
import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from pipeline.formats.base import codec_errors
from pipeline.formats.dicom.dataset import check_whole, header_bytes, read_dataset, text, transfer_syntax
from pipeline.formats.dicom.derivation import frame_uid
from pipeline.formats.dicom.frames import check_no_more, frame_ended_early
from pipeline.formats.dicom.layout import PixelLayout
from pipeline.formats.dicom.silence import silence, written_or_refused

_OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
_OF_ALL = ("RepresentativeFrameNumber", "StartTrim", "StopTrim", *_OFFSETS)
"""What numbers frames of the whole object, or says where they begin."""
_OVERLAYS = range(0x6000, 0x6020, 2)
_FRAMES_IN_OVERLAY = 0x0015
_HEAD = 4096
_PIXELS = Tag("PixelData")


def count_frames(file: IO[bytes]) -> int:
    """How many there are; 1 for an object without pixels, or whose frames do not end on whole bytes."""
    head = file.read(_HEAD)
    file.seek(0)
    with silence():
        if DeflatedExplicitVRLittleEndian.encode() in head:
            dataset: Dataset = read_dataset(file.read(), pixels=False)
        else:
            dataset = pydicom.dcmread(file, force=True, stop_before_pixels=True)
        return 1 if "Rows" not in dataset else _countable(PixelLayout.of(dataset))


def _countable(layout: PixelLayout) -> int:
    return layout.frames if layout.bits_allocated % 8 == 0 else 1


class DicomPages:
    """``pages[number]``: the object of one frame, from 0."""

    def __init__(self, data: bytes) -> None:
        with codec_errors("DICOM"), silence():
            dataset = read_dataset(data)
            if next(reversed(list(dataset.keys())), None) != _PIXELS:
                check_whole(dataset)  # else the frames before the cut are whole
            self._header = header_bytes(data, dataset)
            self._layout = PixelLayout.of(dataset)
            syntax = transfer_syntax(dataset)
            check_no_more(dataset, syntax, self._layout)
            self._is_encapsulated, self._vr = syntax.is_encapsulated, "OB"
            self._frames = list(self._frames_of(dataset))

    def __getitem__(self, number: int) -> bytes:
        """``ImageError`` where the object ends before this frame."""
        if number >= len(self._frames):
            raise frame_ended_early()
        with written_or_refused("UNREADABLE", "for one frame", 'leave out store = "pages"'):
            dataset = read_dataset(self._header)
            _set_identity(dataset, number + 1)
            _take_values(dataset, number, self._layout.frames)
            self._set_pixels(dataset, self._frames[number])
            file = io.BytesIO()
            pydicom.dcmwrite(file, dataset)
            return file.getvalue()

    def _frames_of(self, dataset: FileDataset) -> Iterator[bytes]:
        """As many as are whole."""
        pixels = dataset["PixelData"].value
        if not self._is_encapsulated:
            is_big = transfer_syntax(dataset) == ExplicitVRBigEndian
            self._vr, pixels = _bytes_in_order(dataset["PixelData"], self._layout, is_big)
            length = self._layout.native_bytes // self._layout.frames
            for number in range(min(self._layout.frames, len(pixels) // length)):
                yield pixels[number * length : (number + 1) * length]
            return
        offsets = tuple(bytes(dataset[name].value) for name in _OFFSETS if name in dataset)
        try:
            yield from generate_frames(
                pixels,
                number_of_frames=self._layout.frames,
                extended_offsets=(offsets[0], offsets[1]) if len(offsets) == len(_OFFSETS) else None,
            )
        except (ValueError, EOFError):  # the object ends inside of a frame
            return

    def _set_pixels(self, dataset: Dataset, frame: bytes) -> None:
        if self._is_encapsulated:
            frame = encapsulate([frame])
        dataset.add_new("PixelData", self._vr, frame + b"\0" * (len(frame) % 2))
        dataset["PixelData"].is_undefined_length = self._is_encapsulated


def _bytes_in_order(element: DataElement, layout: PixelLayout, is_big: bool) -> tuple[str, bytes]:
    """How native pixels are written, and these; bytes that were swapped as words are where they belong.

    A frame may begin inside of such a word.
    """
    pixels = element.value
    if not (is_big and element.VR == "OW" and layout.bits_allocated == 8):
        return element.VR, pixels
    return "OB", np.frombuffer(pixels, np.uint16).byteswap().tobytes()


def _set_identity(dataset: FileDataset, number: int) -> None:
    """``number``: from 1."""
    whole = text(dataset, "SOPInstanceUID")
    if whole:
        extraction = Dataset()
        extraction.MultiFrameSourceSOPInstanceUID, extraction.SimpleFrameList = whole, number
        dataset.FrameExtractionSequence = Sequence([*dataset.get("FrameExtractionSequence", ()), extraction])
        dataset.SOPInstanceUID = frame_uid(whole, number)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.NumberOfFrames, dataset.InstanceNumber = 1, number


def _take_values(dataset: Dataset, number: int, count: int) -> None:
    """Of what has a value or an item for every frame, that of one; nothing that numbers frames of all."""
    for tag in list(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if keyword in _OF_ALL or _is_of_frames(dataset, tag.group):
            del dataset[tag]
        elif keyword.endswith("Vector") or keyword == "PerFrameFunctionalGroupsSequence":
            value = dataset[tag].value
            if not isinstance(value, str) and isinstance(value, Sized) and len(value) == count:
                dataset[tag].value = value[number : number + 1]  # type: ignore[index]


def _is_of_frames(dataset: Dataset, group: int) -> bool:
    """Whether a group is an overlay of several frames."""
    return group in _OVERLAYS and (group, _FRAMES_IN_OVERLAY) in dataset
