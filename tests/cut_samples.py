"""Files whose compressed data end early inside an intact container, for every codec in every container."""

import gzip
import io
import struct
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import imagecodecs
import numpy as np
import tifffile
from PIL import Image as Pillow

from tests.bad_images import DEEP, PHOTO, saved, tiff

LARGE = np.tile(PHOTO, (2, 2, 1))[:110, :150].copy()
GREY = np.ascontiguousarray(LARGE[:, :, 1])
DEEP_GREY = np.ascontiguousarray(np.tile(DEEP[:, :, 0], (2, 2))[:110, :150])
FAX = Pillow.fromarray(GREY).convert("1")
_PLANES = {"strips": {"rowsperstrip": 32}, "tiles": {"tile": (64, 64)}}
_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
_TAILS = (1, 2, 4, 9, 20, 33)
"""Bytes at the end that were not written."""


def _tiffs() -> Iterator[tuple[str, bytes]]:
    for name in ("lzw", "zlib", "packbits", "jpeg", "jpeg2000", "lzma", "zstd", "webp"):
        for lie, options in _PLANES.items():
            yield f"tiff {name} {lie}", tiff(LARGE, photometric="rgb", compression=name, **options)
    for name in ("tiff_ccitt", "group3", "group4"):
        yield f"tiff {name}", saved(FAX, "TIFF", compression=name)
    yield "tiff jpeg Pillow", saved(LARGE, "TIFF", compression="jpeg")


def _geotiffs() -> Iterator[tuple[str, bytes]]:
    from tests.geotiff_samples import geotiff

    tiled = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    bands = np.ascontiguousarray(LARGE.transpose(2, 0, 1))
    for name in ("DEFLATE", "LZW", "PACKBITS", "JPEG", "ZSTD", "WEBP", "LERC", "LERC_DEFLATE", "LZMA"):
        more = {"JPEG": {"photometric": "ycbcr"}, "WEBP": {"WEBP_LEVEL": "90"}}.get(name, {})
        for lie, options in {"strips": {"blockysize": 32}, "tiles": tiled}.items():
            yield f"geotiff {name} {lie}", geotiff(bands, compress=name, **options, **more)


def segment_cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The middle strip or tile listed as shorter, and with other ends; all else as it was."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page, order = file.pages[0], file.byteorder
        tag = page.tags.get(325) or page.tags[279]
        offsets, counts = page.dataoffsets, page.databytecounts
    index = len(counts) // 2
    offset, count = offsets[index], counts[index]
    width, code = {3: (2, "H"), 4: (4, "I"), 16: (8, "Q")}[int(tag.dtype)]
    at = tag.valueoffset + index * width
    for share in _SHARES:
        shorter = struct.pack(order + code, int(count * share))
        yield f"cut at {share}", data[:at] + shorter + data[at + width :]
    for name, stream in other_ends(data[offset : offset + count]):
        yield name, data[:offset] + stream + data[offset + count :]


def other_ends(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Other bytes in the place of the last ones: nothing written, flash erased, blocks of elsewhere."""
    for zeros in _TAILS:
        yield f"zeros {zeros}", stream[:-zeros] + bytes(min(zeros, len(stream)))
    head, size = stream[: len(stream) // 2], len(stream) - len(stream) // 2
    last = head[-512:]
    yield "half zeros", head + bytes(size)
    yield "half ones", head + b"\xff" * size
    yield "half repeated", head + (last * (size // len(last) + 1))[:size]
    yield "half random", head + np.random.default_rng(size).bytes(size)


def file_cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file cut, and with other ends."""
    for share in _SHARES:
        yield f"cut at {share}", data[: int(len(data) * share)]
    yield from other_ends(data)


def frame_cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The frame of a DICOM object cut, and with other ends, in an object that is whole."""
    import pydicom
    from pydicom.encaps import encapsulate, generate_frames

    dataset = pydicom.dcmread(io.BytesIO(data))
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    cut = {f"cut at {share}": frame[: int(len(frame) * share)] for share in _SHARES}
    cut |= dict(other_ends(frame))
    for name, shorter in cut.items():
        dataset.PixelData = encapsulate([shorter + bytes(len(shorter) % 2)])
        file = io.BytesIO()
        dataset.save_as(file)
        yield name, file.getvalue()


def _dicoms() -> Iterator[tuple[str, bytes]]:
    import pydicom
    from pydicom import uid
    from pydicom.data import get_testdata_file
    from pydicom.encaps import encapsulate

    for name in ("RLELossless", "JPEGLSLossless", "JPEG2000Lossless"):
        dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        dataset.compress(getattr(uid, name))
        file = io.BytesIO()
        dataset.save_as(file)
        yield f"dicom {name}", file.getvalue()
    dataset = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for name, frame, bits in (
        ("JPEGBaseline8Bit", saved(GREY, "JPEG", quality=90), 8),
        ("JPEGLosslessSV1", imagecodecs.ljpeg_encode(DEEP_GREY), 16),
    ):
        dataset.Rows, dataset.Columns = GREY.shape
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
        for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
            if keyword in dataset:
                del dataset[keyword]
        dataset.file_meta.TransferSyntaxUID = getattr(uid, name)
        dataset.PixelData = encapsulate([frame + bytes(len(frame) % 2)])
        file = io.BytesIO()
        dataset.save_as(file)
        yield f"dicom {name}", file.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    yield "jpeg", saved(LARGE, "JPEG", quality=90)
    yield "jpeg progressive", saved(LARGE, "JPEG", quality=90, progressive=True)
    yield "png", saved(LARGE, "PNG")
    yield "webp", saved(LARGE, "WEBP", quality=90)
    yield "webp lossless", saved(LARGE, "WEBP", lossless=True)
    yield "avif", saved(LARGE, "AVIF", quality=90)
    yield "avif alpha", saved(np.dstack([LARGE, GREY]), "AVIF", quality=90)
    if find_spec("rasterio"):
        yield "jp2", imagecodecs.jpeg2k_encode(LARGE, level=0, codecformat="jp2")
        yield "j2k", imagecodecs.jpeg2k_encode(LARGE, level=0, codecformat="j2k")
    if find_spec("nibabel"):
        from tests.nifti_samples import made

        volume = made(DEEP_GREY.astype(np.int16)[:, :, None])
        yield "nifti gzip", gzip.compress(volume)
        half = len(volume) // 2
        yield "nifti two members", gzip.compress(volume[:half]) + gzip.compress(volume[half:])


Cuts = Callable[[bytes], Iterator[tuple[str, bytes]]]


def samples() -> dict[str, tuple[bytes, Cuts]]:
    """Codec and container -> a whole file, and how its data are made to end early."""
    found: dict[str, tuple[bytes, Cuts]] = {name: (data, segment_cuts) for name, data in _tiffs()}
    if find_spec("rasterio"):
        found |= {name: (data, segment_cuts) for name, data in _geotiffs()}
    if find_spec("pydicom"):
        found |= {name: (data, frame_cuts) for name, data in _dicoms()}
    return found | {name: (data, file_cuts) for name, data in _files()}
