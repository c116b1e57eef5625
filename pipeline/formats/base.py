"""What a format is: bytes in, image out, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import ImageError
from pipeline.imaging.image import Image

EXIF = "exif"
"""Metadata entry: EXIF as a TIFF structure (``II*\\0`` or ``MM\\0*`` first), without ``Exif\\0\\0``."""
ICC_PROFILE = "icc_profile"
"""Metadata entry: the ICC profile, uncompressed."""
XMP = "xmp"
"""Metadata entry: the XMP packet, UTF-8."""
ASSOCIATED_ALPHA = "associated_alpha"
"""Metadata entry: True where the pixels are already multiplied by the opacity (TIFF alone has that)."""
ALPHA_PLACE = "tiff_alpha"
"""Metadata entry: index of the opacity among the samples where it is not the last."""
GAIN_MAP_LEFT = "gain_map_left"
"""Metadata entry: True where a gain map stood beside the image, which is its base without it."""

_MOST_SAMPLES_A_PIXEL = 16
"""Of an image with as many pixels as the limit allows; smaller ones may have more bands."""


@dataclass(frozen=True)
class Limits:
    """What decoding may cost; checked on the header, before any pixel is decoded."""

    max_pixels: int = 100_000_000
    """Height times width."""

    def check(self, height: int, width: int) -> None:
        """Refuses with ``UNREADABLE`` what has no pixels and with ``TOO_LARGE`` what has too many."""
        if height < 1 or width < 1:
            raise ImageError("UNREADABLE", f"the header says {width} x {height} pixels")
        if height * width > self.max_pixels:
            raise ImageError(
                "TOO_LARGE",
                f"{width} x {height} pixels are more than the limit of {self.max_pixels}; raise max_pixels",
            )

    def check_block(self, height: int, width: int, samples: int) -> None:
        """Refuses with ``TOO_LARGE`` a part of an array that takes more memory than an image may."""
        self.check(height, width)
        if samples > self.max_samples:
            raise ImageError(
                "TOO_LARGE",
                f"{samples} samples are more than the limit of {self.max_samples}; raise max_pixels",
            )

    @property
    def max_samples(self) -> int:
        """Height times width times bands."""
        return _MOST_SAMPLES_A_PIXEL * self.max_pixels


class Format(Protocol):
    """Bytes <-> image. Decoding raises ``ImageError`` with a reason code and nothing else."""

    @property
    def name(self) -> str:
        """As in a job's ``output_format``: ``png``, ``jpeg``, ``webp``, ``tiff``."""
        ...

    @property
    def extensions(self) -> tuple[str, ...]:
        """Lower case with the dot, the preferred one first."""
        ...

    @property
    def lossless(self) -> bool:
        """Whether ``encode`` keeps every pixel of every image that it takes."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether its images can only be written as another format."""
        ...

    @property
    def summary(self) -> str:
        """What it reads and writes, in one line, for ``restora list formats``."""
        ...

    def recognises(self, data: bytes) -> bool:
        """Whether an object is of this format, by its bytes: magic numbers and headers, no pixels."""
        ...

    def decode(self, data: bytes, limits: Limits) -> Image:
        """The image as stored, its domain from the header, its metadata unchanged."""
        ...

    def check(self, image: Image) -> None:
        """Raises what ``encode`` would of an image of this size, type and metadata; looks at no pixel.

        ``ImageError`` with ``UNENCODABLE``, ``BAD_GEOMETRY``, or why the source can only be read.
        """
        ...

    def encode(self, image: Image) -> bytes:
        """The image as a file, with whatever of its metadata this format can hold.

        The same image gives the same bytes. Raises as ``check``, and ``UNENCODABLE`` where the codec fails.
        """
        ...


@contextmanager
def codec_errors(format_name: str) -> Iterator[None]:
    """Turns whatever a codec raises into an ``ImageError``; its text may quote the file, so it is dropped."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("OUT_OF_MEMORY", f"no memory to decode this {format_name} file") from None
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic of a codec in Rust is no Exception
        raise ImageError(
            "UNREADABLE", f"the {format_name} file is corrupt ({type(error).__name__} in the decoder)"
        ) from None


def refuse_pixels(image: Image, format_name: str, holds: str, cure: str) -> ImageError:
    """The error for pixels that a format cannot hold, naming both and the way out."""
    height, width, channels = image.size
    has = f"{channels} channel{'s' * (channels != 1)}" + ("" if image.alpha_HW is None else " and alpha")
    return ImageError(
        "UNENCODABLE",
        f"{format_name} holds {holds}, not {width} x {height} pixels of {has} "
        f"of {image.domain.dtype}; {cure}",
    )


def check_opacity(image: Image, format_name: str) -> None:
    """Refuses colours that are multiplied by the opacity, in formats that have no way to say so."""
    if image.metadata.entries.get(ASSOCIATED_ALPHA):
        raise refuse_pixels(
            image, format_name, "colours not multiplied by opacity", "choose output_format tiff"
        )
