"""From an image to the bytes of a derived DICOM object."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
)

from pipeline.errors import ImageError
from pipeline.formats.base import refuse_pixels
from pipeline.formats.dicom.classes import LOSSY_METHODS, is_lossy
from pipeline.formats.dicom.dataset import read_dataset
from pipeline.formats.dicom.derivation import derive
from pipeline.formats.dicom.entries import DICOM_HEADER, PADDING, READ_ONLY
from pipeline.formats.dicom.geometry import move_geometry
from pipeline.formats.dicom.layout import PixelLayout
from pipeline.formats.dicom.pixels import apart_from_padding
from pipeline.formats.dicom.silence import written_or_refused
from pipeline.formats.gaps import put_back_gaps
from pipeline.formats.grid import Grid
from pipeline.imaging.image import Image

KEPT_SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLSLossless)
"""Transfer syntaxes of sources that the output keeps; all others become Explicit VR Little Endian."""

_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def check_image(image: Image) -> None:
    """See ``pipeline.formats.dicom.format.Dicom.check``."""
    with _refusals(image):
        dataset, _, grid = _opened(image)
        move_geometry(dataset, grid)


def write_image(image: Image) -> bytes:
    """See ``pipeline.formats.dicom.format.Dicom.encode``."""
    with _refusals(image):
        return _write(image)


@contextmanager
def _refusals(image: Image) -> Iterator[None]:
    entries = image.metadata.entries
    if DICOM_HEADER not in entries or image.alpha_HW is not None:
        raise refuse_pixels(
            image, "DICOM", "images derived from a DICOM object", "choose output_format png or tiff"
        )
    if READ_ONLY in entries:
        raise ImageError(*entries[READ_ONLY])
    with written_or_refused("UNENCODABLE", "again", "choose output_format tiff"):
        yield


def _opened(image: Image) -> tuple[FileDataset, PixelLayout, Grid]:
    """The source's header. Raises ``ImageError`` where the image is none of it."""
    dataset = read_dataset(image.metadata.entries[DICOM_HEADER])
    layout = PixelLayout.of(dataset)
    channels = layout.samples if layout.samples > 1 else layout.frames
    dtype = f"{'' if layout.is_signed else 'u'}int{layout.bits_allocated}"
    if image.size[2] != channels or image.domain.dtype != dtype:
        raise refuse_pixels(
            image,
            "this DICOM object",
            f"{channels} channels of {dtype}",
            "choose output_format tiff",
        )
    return dataset, layout, Grid.between((layout.rows, layout.columns), image.size[:2])


def _write(image: Image) -> bytes:
    dataset, layout, grid = _opened(image)
    stored_HWC = _stored(image, dataset, layout, grid)
    digest = hashlib.sha256(repr(stored_HWC.shape).encode() + stored_HWC.tobytes()).hexdigest()
    _keep_loss(dataset, layout)
    _swap_words(dataset)
    derive(dataset, grid, image.metadata.provenance, digest)
    move_geometry(dataset, grid)
    return _file(dataset, stored_HWC, layout)


def _stored(image: Image, dataset: Dataset, layout: PixelLayout, grid: Grid) -> NDArray[Any]:
    """Within the stored range, in the stored polarity, with the source's padding in its places."""
    low, high = image.domain.storable
    stored_HWC = layout.turned(np.clip(image.pixels_HWC, int(low), int(high)))
    stored_HWC = apart_from_padding(dataset, layout, stored_HWC, is_lossy=is_lossy(dataset))
    packed = image.metadata.entries.get(PADDING)
    if packed is None:
        return stored_HWC
    return put_back_gaps(stored_HWC, packed, grid, (layout.rows, layout.columns))


def _keep_loss(dataset: Dataset, layout: PixelLayout) -> None:
    """An image that lost something stays marked as such, also where its writer forgot to (C.7.6.1.1.5)."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not is_lossy(dataset):
        return
    dataset.LossyImageCompression = "01"
    if not dataset.get("LossyImageCompressionMethod") and syntax in LOSSY_METHODS:
        dataset.LossyImageCompressionMethod = LOSSY_METHODS[syntax]


def _swap_words(dataset: Dataset) -> None:
    """Binary values of a big endian object in little endian order: pydicom writes them as they were."""
    if dataset.file_meta.TransferSyntaxUID != ExplicitVRBigEndian:
        return
    for element in dataset.iterall():
        size = _WORDS.get(element.VR)
        if size and isinstance(element.value, bytes) and len(element.value) % size == 0:
            element.value = np.frombuffer(element.value, f">u{size}").astype(f"<u{size}").tobytes()


def _file(dataset: FileDataset, stored_HWC: NDArray[Any], layout: PixelLayout) -> bytes:
    source_syntax: UID = dataset.file_meta.TransferSyntaxUID
    syntax = source_syntax if source_syntax in KEPT_SYNTAXES else ExplicitVRLittleEndian
    if layout.samples > 1:
        dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
        samples, syntax = stored_HWC, ExplicitVRLittleEndian if syntax == JPEGLSLossless else syntax
    else:
        samples = np.moveaxis(stored_HWC, 2, 0)
    _set_pixels(dataset, samples, implicit=syntax == ImplicitVRLittleEndian)
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = f"PYDICOM {'.'.join(pydicom.__version_info__[:3])}"
    meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if syntax == ImplicitVRLittleEndian else ExplicitVRLittleEndian
    )
    if syntax != ImplicitVRLittleEndian:
        _name_types(dataset)
    # A preamble may be the header of another format, of which no more is left.
    dataset.preamble = bytes(128)
    if syntax == JPEGLSLossless:
        frames = samples if layout.frames > 1 else samples[0]
        dataset.compress(syntax, frames, encoding_plugin="pyjpegls", generate_instance_uid=False)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _name_types(dataset: FileDataset) -> None:
    """Value representations for elements of a file that announces them and has none, as some writers do."""
    if any(element.VR is None for element in dataset.elements()):
        for _ in dataset.iterall():
            pass
        correct_ambiguous_vr(dataset, True)


def _set_pixels(dataset: Dataset, samples: NDArray[Any], *, implicit: bool) -> None:
    little = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).tobytes()
    vr = "OB" if samples.dtype.itemsize == 1 and not implicit else "OW"
    dataset.add_new("PixelData", vr, little + b"\0" * (len(little) % 2))
