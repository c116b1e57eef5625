"""NIfTI-1 and NIfTI-2 in a single file, plain or gzipped (nifti.nimh.nih.gov, nifti1.h and nifti2.h).

Needs nibabel (extra ``nifti``), which is imported when the first volume is met.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from pipeline.errors import ImageError
from pipeline.formats.base import Limits, codec_errors
from pipeline.formats.nifti.head import head_of, version_of
from pipeline.imaging.image import Image


@dataclass(frozen=True)
class Nifti:
    """A volume as an image: axes 0 and 1 are height and width, all further ones are channels.

    Channels count the slices (axis 2) fastest, then times and components, as the file stores them.
    """

    name = "nifti"
    extensions = (".nii.gz", ".nii")
    lossless = True
    read_only = False
    summary = "volumes of 2 to 7 dimensions, integers and floats; header, affine, extensions kept [nifti]"

    def recognises(self, data: bytes) -> bool:
        """By the size of the header and the magic, in either byte order, under gzip too."""
        return version_of(head_of(data)) is not None

    def decode(self, data: bytes, limits: Limits) -> Image:
        """Stored samples; the range from cal_min and cal_max, or else from the whole volume."""
        with codec_errors("NIfTI"):
            image: Image = _volume().read_volume(data, limits)
            return image

    def check(self, image: Image) -> None:
        """As ``encode`` says, by the header alone."""
        _volume().check_volume(image)

    def encode(self, image: Image) -> bytes:
        """The header with what the grid changes, the samples in the stored type; the gzip without a time.

        ``ImageError`` with ``BAD_GEOMETRY`` where sizes do not fit, or ``UNENCODABLE``.
        """
        written: bytes = _volume().write_volume(image)
        return written


def _volume() -> ModuleType:
    try:
        return importlib.import_module("pipeline.formats.nifti.volume")
    except ModuleNotFoundError:
        raise ImageError(
            "UNREADABLE", "NIfTI is read and written with nibabel; pip install 'restora[nifti]'"
        ) from None
