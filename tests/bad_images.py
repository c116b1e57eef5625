"""A zoo of files that are broken, hostile or merely unusual, made by other encoders than ours."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image as Pillow
from skimage import data as photographs

PHOTO = np.ascontiguousarray(photographs.astronaut()[40:104, 180:260])
"""64 x 80 x 3 uint8: a face."""
GREY = np.ascontiguousarray(PHOTO[:, :, 1])
DEEP = PHOTO.astype(np.uint16) * 257 - np.arange(80, dtype=np.uint16)[:, None]
"""64 x 80 x 3 uint16, the low bytes differing from the high ones."""
OPACITY = np.linspace(0, 255, GREY.size).round().astype(np.uint8).reshape(GREY.shape)


def saved(samples: np.ndarray | Pillow.Image, kind: str, **options) -> bytes:
    """Written by Pillow."""
    picture = samples if isinstance(samples, Pillow.Image) else Pillow.fromarray(samples)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def tiff(samples: np.ndarray, **options) -> bytes:
    """Written by tifffile, without its notes."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples, metadata=None, **options)
    return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, bits: int, colour_type: int, rows: bytes, *, interlaced: bool = False
) -> bytes:
    """A PNG written by hand from filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def interlaced_png(samples_HWC: np.ndarray) -> bytes:
    """Adam7, no filter: rows of the seven passes one after the other."""
    rows = b""
    for top, left, down, across in [
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
    ]:  # fmt: skip
        for row in samples_HWC[top::down, left::across]:
            rows += b"\0" + row.tobytes()
    return png(samples_HWC.shape[1], samples_HWC.shape[0], 8, 2, rows, interlaced=True)


def _animation(kind: str, **options) -> bytes:
    frames = [Pillow.fromarray(np.roll(PHOTO, shift, 1)) for shift in (0, 5, 10)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)


def _patched(data: bytes, position: int, replacement: bytes) -> bytes:
    return data[:position] + replacement + data[position + len(replacement) :]


def _huge_png() -> bytes:
    return png(100_000, 100_000, 8, 2, bytes(1000))


def _huge_jpeg() -> bytes:
    small = saved(PHOTO, "JPEG")
    return _patched(small, small.index(b"\xff\xc0") + 5, struct.pack(">HH", 65000, 65000))


def _huge_avif() -> bytes:
    """Its header says 60,000 x 60,000."""
    data = bytearray(saved(PHOTO, "AVIF"))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = (60_000).to_bytes(4, "big") * 2
    return bytes(data)


def _huge_webp() -> bytes:
    small = saved(PHOTO, "WEBP", exif=b"Exif\0\0II*\0")
    return _patched(small, 24, b"\xff\xff\x00" * 2)


def _huge_tiff() -> bytes:
    small = tiff(PHOTO, byteorder="<", rowsperstrip=64)
    for code in (256, 257):
        entry = small.index(struct.pack("<HHI", code, 4, 1))
        small = _patched(small, entry + 8, struct.pack("<I", 60_000))
    return small


def _corrupt_idat(*, with_right_checksum: bool) -> bytes:
    good = saved(PHOTO, "PNG")
    start = good.index(b"IDAT")
    length = struct.unpack(">I", good[start - 4 : start])[0]
    bad = _patched(good, start + 4 + length // 2, bytes(16))
    if with_right_checksum:
        checksum = zlib.crc32(bad[start : start + 4 + length])
        bad = _patched(bad, start + 4 + length, struct.pack(">I", checksum))
    return bad


def _tiff_without_last_strip() -> bytes:
    good = tiff(PHOTO, rowsperstrip=16, byteorder="<")
    with tifffile.TiffFile(io.BytesIO(good)) as file:
        tag = file.pages[0].tags[279]
    size = tag.valuebytecount // tag.count
    return _patched(good, tag.valueoffset + size * (tag.count - 1), bytes(size))


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


_JPEG = saved(PHOTO, "JPEG", quality=90)

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "EMPTY"),
    "zeros.png": (bytes(1000), "UNREADABLE"),
    "one-byte.jpg": (b"\xff", "UNREADABLE"),
    "text.png": (b"This is not a picture.\n" * 20, "UNREADABLE"),
    "error-page.jpg": (b"<!DOCTYPE html><html><body>403 Forbidden</body></html>", "UNREADABLE"),
    "git-lfs-pointer.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "UNREADABLE"),
    "signature-only.png": (b"\x89PNG\r\n\x1a\n", "TRUNCATED"),
    "cut.gif": (saved(PHOTO, "GIF")[:-1], "TRUNCATED"),
    "cut.bmp": (saved(PHOTO, "BMP")[:-1], "TRUNCATED"),
    "animated.gif": (_animation("GIF"), "ANIMATED"),
    "animated.webp": (_animation("WEBP"), "ANIMATED"),
    "animated.png": (_animation("PNG"), "ANIMATED"),
    "animated.avif": (_animation("AVIF"), "ANIMATED"),
    "several-pages.tif": (_animation("TIFF"), "ANIMATED"),
    "cut.png": (_cut(saved(PHOTO, "PNG"), 0.6), "TRUNCATED"),
    "cut.jpg": (_cut(_JPEG, 0.6), "TRUNCATED"),
    "cut-and-closed.jpg": (_cut(_JPEG, 0.6) + b"\xff\xd9", "TRUNCATED"),
    "cut-and-closed-grey.jpg": (_cut(saved(GREY, "JPEG"), 0.7) + b"\xff\xd9", "TRUNCATED"),
    "cut-progressive.jpg": (_cut(saved(PHOTO, "JPEG", progressive=True), 0.6), "TRUNCATED"),
    "cut.webp": (_cut(saved(PHOTO, "WEBP"), 0.6), "TRUNCATED"),
    "cut-lossless.webp": (_cut(saved(PHOTO, "WEBP", lossless=True), 0.6), "TRUNCATED"),
    "cut.avif": (_cut(saved(PHOTO, "AVIF"), 0.6), "TRUNCATED"),
    "cut.tif": (_cut(tiff(PHOTO, rowsperstrip=8), 0.6), "TRUNCATED"),
    "cut-deflate.tif": (_cut(tiff(PHOTO, compression="zlib"), 0.6), "TRUNCATED"),
    "missing-strip.tif": (_tiff_without_last_strip(), "TRUNCATED"),
    "no-rows.png": (png(80, 64, 8, 2, b"\0" * 100), "UNREADABLE"),
    "wrong-checksum.png": (_corrupt_idat(with_right_checksum=False), "UNREADABLE"),
    "corrupt-pixels.png": (_corrupt_idat(with_right_checksum=True), "UNREADABLE"),
    "no-pixels.png": (png(0, 5, 8, 2, b""), "UNREADABLE"),
    "bomb.png": (_huge_png(), "TOO_LARGE"),
    "bomb.jpg": (_huge_jpeg(), "TOO_LARGE"),
    "bomb.webp": (_huge_webp(), "TOO_LARGE"),
    "bomb.avif": (_huge_avif(), "TOO_LARGE"),
    "deep.avif": (imagecodecs.avif_encode(DEEP >> 6, level=90, bitspersample=10), "UNSUPPORTED_DTYPE"),
    "bomb.tif": (_huge_tiff(), "TOO_LARGE"),
    "cmyk.jpg": (saved(Pillow.fromarray(PHOTO).convert("CMYK"), "JPEG"), "UNSUPPORTED_COLOUR"),
    "cmyk.tif": (saved(Pillow.fromarray(PHOTO).convert("CMYK"), "TIFF"), "UNSUPPORTED_COLOUR"),
    "lab.tif": (saved(Pillow.fromarray(PHOTO).convert("LAB"), "TIFF"), "UNSUPPORTED_COLOUR"),
    "float.tif": (tiff(GREY.astype(np.float64), photometric="minisblack"), "UNSUPPORTED_DTYPE"),
    "signed.tif": (tiff(GREY.astype(np.int32), photometric="minisblack"), "UNSUPPORTED_DTYPE"),
    "32-bit.tif": (tiff(GREY.astype(np.uint32), photometric="minisblack"), "UNSUPPORTED_DTYPE"),
    "lerc.tif": (tiff(PHOTO, photometric="rgb", compression="lerc"), "UNREADABLE"),
    "12-bit.jpg": (
        imagecodecs.jpeg_encode(GREY.astype(np.uint16) * 16, level=90, bitspersample=12),
        "UNSUPPORTED_DTYPE",
    ),
}
"""Name -> bytes that must be refused, and the reason code."""

_PALETTE = Pillow.fromarray(PHOTO).quantize(16)
_CLEAR = np.dstack([PHOTO, OPACITY])

ODD_BUT_GOOD: dict[str, bytes] = {
    "1x1.png": saved(PHOTO[:1, :1], "PNG"),
    "1x1.jpg": saved(PHOTO[:1, :1], "JPEG"),
    "1x1.webp": saved(PHOTO[:1, :1], "WEBP"),
    "1x1.tif": tiff(PHOTO[:1, :1], photometric="rgb"),
    "1xn.png": saved(PHOTO[:1], "PNG"),
    "nx1.png": saved(PHOTO[:, :1], "PNG"),
    "1-bit.png": saved(Pillow.fromarray(GREY).convert("1"), "PNG"),
    "palette.png": saved(_PALETTE, "PNG"),
    "palette-4-bit.png": saved(_PALETTE, "PNG", bits=4),
    "palette-clear.png": saved(_PALETTE, "PNG", transparency=3),
    "grey-16.png": saved(DEEP[:, :, 0], "PNG"),
    "rgb-16.png": imagecodecs.png_encode(DEEP),
    "rgba-16.png": imagecodecs.png_encode(np.dstack([DEEP, DEEP[:, :, 0]])),
    "grey-alpha.png": saved(np.dstack([GREY, OPACITY]), "PNG"),
    "rgba.png": saved(_CLEAR, "PNG"),
    "clear-colour.png": saved(PHOTO, "PNG", transparency=tuple(int(v) for v in PHOTO[0, 0])),
    "interlaced.png": interlaced_png(PHOTO),
    "png-named.jpg": saved(PHOTO, "PNG"),
    "jpeg-named.png": saved(PHOTO, "JPEG"),
    "grey.jpg": saved(GREY, "JPEG"),
    "with-preview.jpg": saved(PHOTO, "MPO", save_all=True, append_images=[Pillow.fromarray(PHOTO[::2, ::2])]),
    "progressive.jpg": saved(PHOTO, "JPEG", progressive=True),
    "restart-markers.jpg": saved(PHOTO, "JPEG", restart_marker_rows=1),
    "trailing-bytes.jpg": saved(PHOTO, "JPEG") + b"trailer" * 10,
    "flat-end.jpg": saved(np.vstack([PHOTO, np.full((32, 80, 3), 128, np.uint8)]), "JPEG"),
    "lossless.webp": saved(PHOTO, "WEBP", lossless=True),
    "rgba.webp": saved(_CLEAR, "WEBP", lossless=True, exact=True),
    "lossy-rgba.webp": saved(_CLEAR, "WEBP", quality=90),
    "rgba.avif": saved(_CLEAR, "AVIF", quality=90),
    "1x1.avif": saved(PHOTO[:1, :1], "AVIF"),
    "grey.avif": saved(GREY, "AVIF"),
    "1-bit.tif": saved(Pillow.fromarray(GREY).convert("1"), "TIFF"),
    "fax.tif": saved(Pillow.fromarray(GREY).convert("1"), "TIFF", compression="group4"),
    "white-is-zero.tif": tiff(GREY, photometric="miniswhite"),
    "palette.tif": saved(_PALETTE, "TIFF"),
    "grey-16.tif": tiff(DEEP[:, :, 0], photometric="minisblack"),
    "rgb-16-big-endian.tif": tiff(DEEP, photometric="rgb", byteorder=">"),
    "rgba.tif": tiff(_CLEAR, photometric="rgb", extrasamples=["unassalpha"]),
    "six-bands.tif": tiff(np.dstack([DEEP, DEEP[::-1]]), photometric="minisblack", planarconfig="contig"),
    "planes.tif": tiff(DEEP.transpose(2, 0, 1).copy(), photometric="rgb", planarconfig="separate"),
    "tiled.tif": tiff(PHOTO, photometric="rgb", tile=(16, 32), compression="zlib", predictor=True),
    "lzw.tif": saved(PHOTO, "TIFF", compression="tiff_lzw"),
    "lzw-1-bit.tif": saved(Pillow.fromarray(GREY).convert("1"), "TIFF", compression="tiff_lzw"),
    "lzw-palette.tif": saved(_PALETTE, "TIFF", compression="tiff_lzw"),
    "lzw-planes.tif": tiff(
        DEEP.transpose(2, 0, 1).copy(),
        photometric="rgb",
        planarconfig="separate",
        compression="lzw",
        predictor=True,
        rowsperstrip=7,
    ),
    "lzw-tiled.tif": tiff(DEEP, photometric="rgb", tile=(16, 32), compression="lzw", predictor=True),
    "packbits.tif": saved(PHOTO, "TIFF", compression="packbits"),
    "zstd.tif": tiff(DEEP, photometric="rgb", compression="zstd", predictor=True),
    "lzma.tif": tiff(DEEP, photometric="rgb", compression="lzma"),
    "jpeg2000.tif": tiff(DEEP, photometric="rgb", compression="jpeg2000"),
    "jpeg.tif": saved(PHOTO, "TIFF", compression="jpeg", quality=95),
    "bigtiff.tif": tiff(PHOTO, photometric="rgb", bigtiff=True),
}
"""Name -> bytes that must be read; what they show is ``PHOTO`` or a part of it, more or less exactly."""
