"""nibabel's own volumes, volumes made to order, and nibabel's view of either."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.nifti.format import Nifti
from pipeline.imaging.image import Image

nibabel = pytest.importorskip("nibabel", reason="needs the extra nifti")

FORMAT = Nifti()
FOLDER = Path(nibabel.__file__).parent / "tests" / "data"
SAMPLES = {
    path.name: path
    for path in sorted([*FOLDER.glob("*.nii"), *FOLDER.glob("*.nii.gz")])
    if FORMAT.recognises(path.read_bytes()) and "dconn" not in path.name
}
CIFTI = FOLDER / "row_major.dconn.nii"


def read(data: bytes) -> Image:
    return FORMAT.decode(data, Limits())


def enlarged(image: Image, factor: int) -> Image:
    return image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, factor, 0), factor, 1))


def opened(data: bytes):
    """By nibabel, stored values unscaled in ``unscaled``."""
    content = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    kind = nibabel.Nifti1Image if b"n+1" in content[:348] else nibabel.Nifti2Image
    return kind.from_bytes(content)


def unscaled(volume) -> np.ndarray:
    return np.asarray(volume.dataobj.get_unscaled())


def made(samples: np.ndarray, order: str = "<", **fields: object) -> bytes:
    """A volume with fields of the header as given, in either byte order."""
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_shape(samples.shape)
    header.set_data_dtype(samples.dtype.newbyteorder(order))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + bytes(4) + samples.astype(samples.dtype.newbyteorder(order)).tobytes("F")


def refused(data: bytes, limits: Limits | None = None) -> ImageError:
    with pytest.raises(ImageError) as refusal:
        FORMAT.decode(data, limits or Limits())
    return refusal.value
