"""From DICOM bytes to an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from pipeline.errors import ImageError
from pipeline.formats.base import ICC_PROFILE, Limits
from pipeline.formats.dicom.classes import is_lossy, why_read_only
from pipeline.formats.dicom.dataset import PIXEL_KEYWORDS, check_whole, header_bytes, read_dataset
from pipeline.formats.dicom.entries import DICOM_HEADER, PADDING, READ_ONLY
from pipeline.formats.dicom.layout import PixelLayout
from pipeline.formats.dicom.pixels import check_bits, domain_of, padding_mask, read_stored
from pipeline.formats.dicom.silence import silence
from pipeline.formats.gaps import pack_gaps
from pipeline.imaging.image import Image, Metadata


def read_image(data: bytes, limits: Limits) -> Image:
    """See ``pipeline.formats.dicom.format.Dicom.decode``."""
    with silence():
        dataset = read_dataset(data)
        check_whole(dataset)
        _check_has_pixels(dataset)
        header = header_bytes(data, dataset)
        layout = PixelLayout.of(dataset)
        layout.check(limits)
        stored_HWC = read_stored(dataset, layout)
        padding_HWC = padding_mask(dataset, layout, stored_HWC, is_lossy=is_lossy(dataset))
        check_bits(layout, stored_HWC, padding_HWC)
        entries: dict[str, Any] = {DICOM_HEADER: header} | _profile(dataset, layout)
        if reason := why_read_only(dataset, layout):
            entries[READ_ONLY] = reason
        valid_HW: NDArray[np.bool_] | None = None
        if padding_HWC is not None:
            entries[PADDING] = pack_gaps(stored_HWC, padding_HWC)
            valid_HW = np.asarray(~padding_HWC.any(axis=2))
            if not valid_HW.any():
                raise ImageError("ALL_NODATA", "every pixel is of PixelPaddingValue")
        return Image(
            pixels_HWC=layout.turned(stored_HWC),
            domain=domain_of(dataset, layout, stored_HWC.dtype),
            metadata=Metadata("dicom", entries),
            valid_HW=valid_HW,
        )


def _profile(dataset: FileDataset, layout: PixelLayout) -> dict[str, bytes]:
    """What colours the numbers are (PS3.3, C.11.15); grey has its own display function."""
    profile = dataset.get("ICCProfile")
    is_grey = layout.photometric.startswith("MONOCHROME")
    return {ICC_PROFILE: bytes(profile)} if isinstance(profile, bytes) and profile and not is_grey else {}


def _check_has_pixels(dataset: FileDataset) -> None:
    if not any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        raise ImageError("NO_PIXELS", "the DICOM object holds no PixelData, such as a report or a directory")
    if "PixelData" not in dataset:
        raise ImageError("UNSUPPORTED_DTYPE", "floating point pixels, whose range no attribute gives")
