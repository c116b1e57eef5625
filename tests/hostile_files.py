"""Files of every format and codec, each damaged in one of the ways that transfers, disks and attackers do."""

import gzip
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import numpy as np

from tests import cut_samples, format_samples
from tests.bad_images import DEEP, saved, tiff

Rng = np.random.Generator
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_HEADER = 600
"""Bytes within which most fields of a header stand: half of the changes are made there."""


@dataclass(frozen=True)
class Hostile:
    """A damaged file."""

    name: str
    """Number, original and damage."""
    original: str
    damage: str
    data: bytes


@cache
def originals() -> Mapping[str, bytes]:
    """Whole files: every codec in every container, metadata of every kind, deep samples, volumes."""
    found = {name: data for name, (data, _) in cut_samples.samples().items()}
    found |= {f"{name} with metadata": data for name, data in format_samples.SOURCES.items()}
    found["png deep"] = saved(DEEP[:, :, 0], "PNG")
    found["tiff deep planes"] = tiff(
        DEEP.transpose(2, 0, 1).copy(), planarconfig="separate", photometric="rgb"
    )
    if find_spec("nibabel"):
        from tests.nifti_samples import made

        found["nifti"] = made(DEEP.astype(np.int16))
        found["nifti float gzip"] = gzip.compress(made(DEEP.astype(np.float32) / 7))
    if find_spec("rasterio"):
        from tests.geotiff_samples import geotiff, ground

        for dtype in ("uint8", "int16", "float32"):
            found[f"geotiff {dtype}"] = geotiff(ground(3, dtype), nodata=0)
    if find_spec("pydicom"):
        from tests.dicom_samples import samples

        for name in ("CT_small.dcm", "MR_small.dcm", "image_dfl.dcm", "SC_rgb_rle_2frame.dcm"):
            found[f"dicom {name}"] = samples()[name].read_bytes()
    return found


def hostile_files(count: int, seed: int) -> Iterator[Hostile]:
    """The same ones for the same seed; the first of more are those of fewer."""
    return (hostile_file(number, seed) for number in range(count))


def hostile_file(number: int, seed: int) -> Hostile:
    """One of them."""
    names, damages = sorted(originals()), list(DAMAGES)
    rng = np.random.default_rng([seed, number])
    original, damage = names[int(rng.integers(len(names)))], damages[int(rng.integers(len(damages)))]
    data = DAMAGES[damage](originals()[original], rng)
    return Hostile(f"{number:05d} {original} {damage}", original, damage, data)


def _place(data: bytes, rng: Rng) -> int:
    near = min(_HEADER, len(data)) if rng.random() < 0.5 else len(data)
    return int(rng.integers(near))


def _slice(data: bytes, rng: Rng) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def cut(data: bytes, rng: Rng) -> bytes:
    """Ends early."""
    return data[: int(rng.integers(len(data)))]


def zeros(data: bytes, rng: Rng) -> bytes:
    """Was allocated and not written to its end."""
    start = int(rng.integers(len(data)))
    return data[:start] + bytes(len(data) - start)


def _ones(data: bytes, rng: Rng) -> bytes:
    head = _most(data, rng)
    return head + b"\xff" * (len(data) - len(head))


def _repeated(data: bytes, rng: Rng) -> bytes:
    head = _most(data, rng)
    last = head[-512:] or b"\0"
    return head + (last * (len(data) // len(last) + 1))[: len(data) - len(head)]


def _foreign(data: bytes, rng: Rng) -> bytes:
    head = _most(data, rng)
    return head + rng.bytes(len(data) - len(head))


def _most(data: bytes, rng: Rng) -> bytes:
    """All but the last quarter at least: that a few bytes are others, some codecs cannot tell."""
    return data[: int(rng.integers(len(data) * 3 // 4))]


def _hole(data: bytes, rng: Rng) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def _noise(data: bytes, rng: Rng) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + rng.bytes(end - start) + data[end:]


def _some_bytes(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 17))):
        changed[_place(data, rng)] = int(rng.integers(256))
    return bytes(changed)


def _one_bit(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _extreme_field(data: bytes, rng: Rng) -> bytes:
    kind = (">H", "<H", ">I", "<I")[int(rng.integers(4))]
    size = struct.calcsize(kind)
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))] & (256**size - 1)
    at = _place(data, rng) // 2 * 2
    return (data[:at] + struct.pack(kind, value) + data[at + size :])[: max(len(data), at + size)]


def _text_of_digits(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    return data[:at] + b"-99999999999" + data[at + 12 :]


def _gone(data: bytes, rng: Rng) -> bytes:
    start, end = _slice(data, rng)
    return data[:start] + data[end:]


def _twice(data: bytes, rng: Rng) -> bytes:
    start, end = _slice(data, rng)
    return data[:end] + data[start:end] + data[end:]


def _swapped(data: bytes, rng: Rng) -> bytes:
    (a, b), (c, d) = sorted((_slice(data, rng), _slice(data, rng)))
    return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _other_end(data: bytes, rng: Rng) -> bytes:
    names = sorted(originals())
    other = originals()[names[int(rng.integers(len(names)))]]
    return data[: _place(data, rng)] + other[int(rng.integers(len(other))) :]


def _appended(data: bytes, rng: Rng) -> bytes:
    return data + rng.bytes(int(2 ** rng.uniform(0, 14)))


def _behind(data: bytes, rng: Rng) -> bytes:
    return rng.bytes(int(rng.integers(1, 200))) + data


DAMAGES: Mapping[str, Callable[[bytes, Rng], bytes]] = {
    "cut": cut,
    "zeros": zeros,
    "ones": _ones,
    "repeated": _repeated,
    "foreign": _foreign,
    "hole": _hole,
    "noise": _noise,
    "bytes": _some_bytes,
    "bit": _one_bit,
    "field": _extreme_field,
    "digits": _text_of_digits,
    "gone": _gone,
    "twice": _twice,
    "swapped": _swapped,
    "spliced": _other_end,
    "appended": _appended,
    "behind": _behind,
}
OTHER_ENDS = ("zeros", "ones", "repeated", "foreign")
"""Damages that put other bytes in the place of the last ones."""
UNPACKED = (
    *("nifti", "tiff deep planes", "dicom CT_small.dcm", "dicom MR_small.dcm"),
    "tiff with metadata",
    *("geotiff uint8", "geotiff int16", "geotiff float32"),
)
"""Originals whose samples are not compressed: zeros in them are samples like others."""
