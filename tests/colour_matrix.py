"""What becomes of a container's word on colour and geometry, for every pair of source and output format.

    python -m tests.colour_matrix docs/formats.md

writes the table between the two marks of that file anew; a test compares it.
"""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from pipeline.errors import ImageError
from pipeline.formats import FORMATS, decode, encode
from pipeline.formats.base import ICC_PROFILE
from pipeline.formats.colour import COLOUR
from pipeline.formats.exif import orientation_of
from pipeline.formats.geotiff.format import RASTER_HEADER
from pipeline.formats.left_out import left_out
from pipeline.imaging.image import Image
from tests import colour_samples as samples

OUTPUTS = ("png", "jpeg", "webp", "avif", "tiff", "geotiff")
KEPT, PROFILE, TOLD, LOST = "kept", "as a profile", "told in the row", "LOST"
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of white, red, green and blue."""
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
PATCHES = np.array(
    [[[250, 20, 30], [20, 200, 60], [40, 60, 210], [128, 128, 128], [255, 255, 255]]], np.uint8
)


@dataclass(frozen=True)
class Word:
    """Something that a container says: how to make it, and whether another image says the same."""

    make: Callable[[], bytes]
    is_kept: Callable[[Image, Image], bool]


def same(name: str) -> Callable[[Image, Image], bool]:
    return lambda one, other: one.metadata.entries.get(name) == other.metadata.entries.get(name) is not None


def same_orientation(_: Image, other: Image) -> bool:
    header = other.metadata.entries.get(RASTER_HEADER)
    return (header.orientation if header else orientation_of(other.metadata.entries.get("exif", b""))) == 6


def same_order(one: Image, other: Image) -> bool:
    place = other.metadata.entries.get("tiff_alpha")
    header = other.metadata.entries.get(RASTER_HEADER)
    return (header.alpha if header else place) == one.metadata.entries.get("tiff_alpha")


def never(*_: Image) -> bool:
    return False


WORDS: Mapping[str, Word] = {
    "ICC profile (PNG)": Word(lambda: samples.icc("PNG"), same(ICC_PROFILE)),
    "ICC profile (JPEG)": Word(lambda: samples.icc("JPEG"), same(ICC_PROFILE)),
    "ICC profile (WebP)": Word(lambda: samples.icc("WEBP"), same(ICC_PROFILE)),
    "ICC profile (AVIF)": Word(lambda: samples.icc("AVIF"), same(ICC_PROFILE)),
    "ICC profile (TIFF)": Word(lambda: samples.icc("TIFF"), same(ICC_PROFILE)),
    "ICC profile (DICOM)": Word(samples.icc_dicom, same(ICC_PROFILE)),
    "code points in cICP, Display P3 (PNG)": Word(lambda: samples.cicp(*samples.P3), same(COLOUR)),
    "code points in cICP, PQ (PNG)": Word(lambda: samples.cicp(*samples.PQ), same(COLOUR)),
    "gAMA and cHRM (PNG)": Word(samples.gamma_and_primaries, same(COLOUR)),
    "gAMA of a grey image (PNG)": Word(samples.grey_gamma, same(COLOUR)),
    "code points in nclx, Display P3 (AVIF)": Word(lambda: samples.nclx(*samples.P3), same(COLOUR)),
    "code points in nclx, PQ (AVIF)": Word(lambda: samples.nclx(*samples.PQ), same(COLOUR)),
    "WhitePoint and PrimaryChromaticities (TIFF)": Word(samples.colorimetric_tiff, same("tiff_colour_tags")),
    "the same with TransferFunction (TIFF)": Word(
        lambda: samples.colorimetric_tiff(with_transfer=True), same("tiff_colour_tags")
    ),
    "gain map (JPEG)": Word(samples.with_gain_map, never),
    "orientation (JPEG)": Word(lambda: samples.oriented("JPEG"), same_orientation),
    "orientation (PNG)": Word(lambda: samples.oriented("PNG"), same_orientation),
    "orientation (WebP)": Word(lambda: samples.oriented("WEBP"), same_orientation),
    "irot and imir (AVIF)": Word(lambda: samples.oriented("AVIF"), same_orientation),
    "orientation (TIFF)": Word(lambda: samples.oriented_tiff("uint8"), same_orientation),
    "orientation (TIFF of float32)": Word(lambda: samples.oriented_tiff("float32"), same_orientation),
    "place of the opacity among the samples (TIFF)": Word(lambda: samples.interlaced_alpha(0), same_order),
}


def cell(word: Word, output: str) -> str:
    """What becomes of it in this format."""
    source = decode(word.make())
    try:
        written = decode(encode(source, output))
    except ImageError as error:
        return {"UNENCODABLE": "refused"}[error.reason]
    if word.is_kept(source, written):
        return KEPT
    if says_the_same(source, written):
        return PROFILE
    return TOLD if left_out(source, output) else LOST


def says_the_same(source: Image, written: Image) -> bool:
    """Whether the profile of what was written makes those colours that the source's description makes."""
    colour, profile = source.metadata.entries.get(COLOUR), written.metadata.entries.get(ICC_PROFILE)
    if colour is None or profile is None or colour.curve is None:
        return False
    patches = PATCHES if source.size[2] == 3 else PATCHES[:, :, 0]
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(
        Pillow.fromarray(patches), opened, ImageCms.createProfile("sRGB"), renderingIntent=1, outputMode="RGB"
    )
    expected = in_srgb(np.broadcast_to(patches.reshape(1, 5, -1), (1, 5, 3)), colour)
    return np.abs(np.asarray(shown).astype(float) - expected).max() <= 2


def in_srgb(rgb_HWC: np.ndarray, colour: Any) -> np.ndarray:
    """8 bit sRGB of numbers whose colours are described, both under D65: from the definitions alone."""
    g, a, b, c, d = colour.curve
    value = rgb_HWC / 255
    light = np.where(value >= d, (a * value + b) ** g, c * value)
    to_srgb = np.linalg.inv(matrix(SRGB)) @ matrix(colour.primaries)
    light = np.clip(light @ to_srgb.T, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def matrix(primaries: tuple[float, ...]) -> np.ndarray:
    """From numbers to CIE XYZ (SMPTE RP 177)."""
    xyz = np.array(
        [(x / y, 1, (1 - x - y) / y) for x, y in zip(primaries[::2], primaries[1::2], strict=True)]
    ).T
    return xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0])


def table() -> str:
    """In Markdown."""
    assert set(OUTPUTS) <= set(FORMATS)
    lines = [f"| what the source says | {' | '.join(OUTPUTS)} |", "| --- " * (1 + len(OUTPUTS)) + "|"]
    for name, word in WORDS.items():
        lines.append(f"| {name} | {' | '.join(cell(word, output) for output in OUTPUTS)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}")
