"""Small images whose containers say what their colours are and how they are held, made byte by byte."""

import io
import struct

import numpy as np
import tifffile
from PIL import Image as Pillow
from PIL import ImageCms

from pipeline.formats.icc import rgb_profile
from pipeline.formats.png_chunks import SIGNATURE, Chunk, join_chunks, read_chunks
from tests.helpers import encoded, photograph

P3, PQ = (12, 13), (9, 16)
WIDE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
"""White, red, green and blue of Adobe RGB (1998), whose exponent is 2.2."""
SIZE = (24, 32)


def rgb() -> np.ndarray:
    """24 x 32 pixels of a photograph."""
    return photograph(3, *SIZE)


def profile() -> bytes:
    """Of sRGB, by LittleCMS."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def icc_dicom() -> bytes:
    """A capture of three samples with that profile."""
    from tests.dicom_samples import changed

    return changed("SC_rgb.dcm", ICCProfile=profile(), Rows=24, Columns=32, PixelData=rgb().tobytes())


def png(*extra: Chunk) -> bytes:
    """With these chunks behind its header."""
    header, *rest = read_chunks(encoded(rgb()))
    return join_chunks([header, *extra, *rest])


def cicp(primaries: int, transfer: int) -> bytes:
    return png(Chunk(b"cICP", bytes((primaries, transfer, 0, 1))))


def gamma_and_primaries() -> bytes:
    numbers = struct.pack(">8I", *(round(each * 100_000) for each in WIDE))
    return png(Chunk(b"gAMA", struct.pack(">I", round(100_000 / 2.2))), Chunk(b"cHRM", numbers))


def nclx(primaries: int, transfer: int) -> bytes:
    data = encoded(rgb(), "AVIF", quality=90)
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def aperture(across: int, down: int) -> bytes:
    """An AVIF whose pixel aspect ratio becomes a clean aperture, in the middle: Pillow writes neither."""
    data = encoded(rgb(), "AVIF", quality=90)
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", across, 1, down, 1, 0, 1, 0, 1)
    return with_property(data, box)


def with_property(data: bytes, box: bytes) -> bytes:
    """One more property of the image, as the last of all; sizes and places are put right."""
    grown = bytearray(data)
    ipco, ipma = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    iprp, meta = data.index(b"iprp") - 4, data.index(b"meta") - 4
    (size,) = struct.unpack_from(">I", data, ipco)
    boxes, at = 0, ipco + 8
    while at < ipco + size:
        at += struct.unpack_from(">I", data, at)[0]
        boxes += 1
    count_at = ipma + 16 + 2
    grown[count_at + 1 + grown[count_at] : count_at + 1 + grown[count_at]] = bytes((0x80 | (boxes + 1),))
    grown[count_at] += 1
    grown[ipco + size : ipco + size] = box
    for start, more in ((ipma + len(box), 1), (ipco, len(box)), (iprp, len(box) + 1), (meta, len(box) + 1)):
        struct.pack_into(">I", grown, start, struct.unpack_from(">I", grown, start)[0] + more)
    return bytes(_moved(grown, len(box) + 1))


def _moved(grown: bytearray, more: int) -> bytearray:
    """The place of the one item in ``iloc``, four bytes, behind what was put in."""
    data = bytes(grown)
    media = data.index(b"mdat") + 4
    old = struct.pack(">I", media - more)
    at = data.index(old, data.index(b"iloc"))
    struct.pack_into(">I", grown, at, media)
    return grown


def tiff(**options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, options.pop("data", rgb()), metadata=None, **options)
    return file.getvalue()


def colorimetric_tiff(*, with_transfer: bool = False) -> bytes:
    def rationals(values) -> tuple[int, ...]:
        return tuple(each for value in values for each in (round(value * 10_000), 10_000))

    tags = [(318, "2I", 2, rationals(WIDE[:2]), True), (319, "2I", 6, rationals(WIDE[2:]), True)]
    if with_transfer:
        curve = tuple(round(65535 * (each / 255) ** 1.8) for each in range(256))
        tags.insert(0, (301, "H", 256, curve, True))
    return tiff(photometric="rgb", extratags=tags)


def oriented(kind: str) -> bytes:
    """Held on its side, as EXIF says."""
    exif = Pillow.Exif()
    exif[274] = 6
    return encoded(rgb(), kind, exif=exif)


def oriented_tiff(dtype: str) -> bytes:
    data = rgb() if dtype == "uint8" else rgb()[:, :, 0].astype(dtype) / np.float32(255)
    return tiff(data=data, extratags=[(274, "H", 1, 6, True)])


def with_gain_map() -> bytes:
    """A JPEG as Ultra HDR has it: a second image behind the first, whose XMP says what it is."""
    base = encoded(rgb(), "JPEG", quality=95)
    note = b"http://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>"
    segment = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
    return base[:2] + segment + base[2:] + encoded(rgb()[:, :, 0], "JPEG")


def icc(kind: str) -> bytes:
    return encoded(rgb(), kind, icc_profile=profile())


def wide_profile() -> bytes:
    return rgb_profile(WIDE, (2.2, 1.0, 0.0, 0.0, 0.0))


def interlaced_alpha(position: int) -> bytes:
    """A TIFF of red, green, blue and infrared, with the opacity at this place behind the colours."""
    samples = np.dstack([rgb(), rgb()[:, :, :2]])
    kinds = ["unspecified", "unspecified"]
    kinds[position] = "unassalpha"
    return tiff(data=samples, photometric="rgb", extrasamples=kinds)


def grey_gamma() -> bytes:
    """A grey PNG with a curve of 1.0: light itself."""
    header, *rest = read_chunks(encoded(rgb()[:, :, 0]))
    return SIGNATURE + b"".join(
        each.to_bytes() for each in [header, Chunk(b"gAMA", struct.pack(">I", 100_000)), *rest]
    )


def degenerate_primaries() -> bytes:
    """All three of them in one place, which no display has."""
    return png(Chunk(b"cHRM", struct.pack(">8I", 31270, 32900, *(33333, 33333) * 3)))
