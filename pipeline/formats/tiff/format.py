"""TIFF of 8 and 16 bits, any number of bands (TIFF 6.0; BigTIFF where the size asks for it)."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import (
    ALPHA_PLACE,
    ASSOCIATED_ALPHA,
    ICC_PROFILE,
    Limits,
    codec_errors,
    refuse_pixels,
)
from pipeline.formats.colour import with_profile_of_colour
from pipeline.formats.tiff.page import (
    PALETTE,
    RGB,
    YCBCR,
    check_page,
    only_page,
    read_samples,
    to_full_range,
)
from pipeline.formats.tiff.tags import (
    COLOUR_TAGS,
    GRID,
    append_children,
    directory_to_write,
    extra_tags,
    grid_tags,
    read_entries,
    resolution_arguments,
)
from pipeline.imaging.image import Domain, Image, Metadata

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ASSOCIATED, _UNASSOCIATED = 1, 2
_LARGEST_CLASSIC = 2**32 - 2**25

# tifffile logs what it finds odd, with the values of tags in the text: no file contents in our logs.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Tiff:
    """Grey, RGB or N bands, with or without alpha; tiles, planes and byte order of the source are kept."""

    level: int = 1
    """Effort of Deflate, 0..12; samples are differenced along rows first (predictor 2)."""

    name = "tiff"
    extensions = (".tif", ".tiff")
    lossless = True
    read_only = False
    summary = "8 and 16 bit, any number of bands, alpha, tiled or striped; written with Deflate, lossless"

    def recognises(self, data: bytes) -> bool:
        """By byte order and version, BigTIFF included."""
        return data[:4] in _SIGNATURES

    def decode(self, data: bytes, limits: Limits) -> Image:
        """uint8 or uint16 by the header; white-is-zero is turned over, palettes are looked up."""
        with codec_errors("TIFF"), tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return decode_page(only_page(tiff), data, limits)

    def check(self, image: Image) -> None:
        """Unsigned samples of 8 or 16 bits, and no georeference of another grid."""
        height, width, _ = image.size
        if image.domain.dtype not in ("uint8", "uint16"):
            raise refuse_pixels(
                image, "TIFF", "8 or 16 bit unsigned samples here", "convert the source to those"
            )
        if grid_tags(image.metadata.entries, (height, width)) is None:
            grid = image.metadata.entries[GRID]
            raise ImageError(
                "UNENCODABLE",
                f"the georeference or OME description of the {grid[1]} x {grid[0]} source does not fit "
                f"{width} x {height} pixels; choose output_format png, which leaves it out",
            )

    def encode(self, image: Image) -> bytes:
        """Deflate and predictor 2: what every reader of TIFF knows."""
        self.check(image)
        entries = image.metadata.entries
        order, directory = directory_to_write(entries, image.size[:2])
        file = io.BytesIO()
        tifffile.imwrite(
            file,
            **_samples_arguments(image),
            byteorder=order,
            compression="zlib",
            compressionargs={"level": self.level},
            predictor=True,
            tile=entries.get("tiff_tile"),
            iccprofile=_profile(image),
            extratags=extra_tags(entries, directory, image.size[:2]),
            metadata=None,
            software=False,
            maxworkers=1,
            **resolution_arguments(directory, order),
        )
        written = file.getvalue()
        is_classic = written[2:4] in (b"*\0", b"\0*") and len(written) < _LARGEST_CLASSIC
        return append_children(written, directory, order) if is_classic else written


def decode_page(page: tifffile.TiffPage, data: bytes, limits: Limits) -> Image:
    """One page of a file whose bytes are ``data``."""
    check_page(page, limits)
    samples_HWC = to_full_range(read_samples(page, data), page)
    entries = {**read_entries(page, data), **_layout(page)}
    if samples_HWC.dtype.itemsize * 8 != page.bitspersample or int(page.photometric) == PALETTE:
        entries.pop(COLOUR_TAGS, None)  # TransferFunction has a value for every stored number
    return _image(samples_HWC, page, entries)


def _profile(image: Image) -> bytes | None:
    """Its own, or one that says what another format's description does; TIFF's own tags say it already."""
    entries = image.metadata.entries
    known = entries if COLOUR_TAGS in entries else with_profile_of_colour(entries, image.size[2])
    profile: bytes | None = known.get(ICC_PROFILE)
    return profile


def _layout(page: tifffile.TiffPage) -> dict[str, Any]:
    """How the samples lie in the file, where it is not the plainest way."""
    layout: dict[str, Any] = {}
    if page.is_tiled and page.tilelength % 16 == 0 and page.tilewidth % 16 == 0:
        layout["tiff_tile"] = (page.tilelength, page.tilewidth)
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        layout["tiff_planes"] = True
    return layout


def _image(samples_HWC: NDArray[Any], page: tifffile.TiffPage, entries: dict[str, Any]) -> Image:
    kinds = [int(kind) for kind in page.extrasamples]
    alphas = [i for i, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    alpha_HW: NDArray[Any] | None = None
    if alphas and samples_HWC.shape[2] > len(kinds):
        position = samples_HWC.shape[2] - len(kinds) + alphas[0]
        alpha_HW = np.ascontiguousarray(samples_HWC[:, :, position])
        samples_HWC = np.delete(samples_HWC, position, axis=2)
        if position < samples_HWC.shape[2]:
            entries[ALPHA_PLACE] = position
        if kinds[alphas[0]] == _ASSOCIATED:
            entries[ASSOCIATED_ALPHA] = True
    if int(page.photometric) in (RGB, YCBCR) and samples_HWC.shape[2] > 3:
        entries["tiff_rgb"] = True
    return Image(
        pixels_HWC=np.ascontiguousarray(samples_HWC),
        domain=Domain.of_integers(samples_HWC.dtype.name),
        metadata=Metadata("tiff", entries),
        alpha_HW=alpha_HW,
    )


def _samples_arguments(image: Image) -> dict[str, Any]:
    """Samples in the order of the file, and the tags that say what each of them is."""
    entries, channels = image.metadata.entries, image.size[2]
    is_rgb = channels == 3 or (channels > 3 and entries.get("tiff_rgb", False))
    colours = 3 if is_rgb else 1
    samples_HWC, extras = image.pixels_HWC, ["unspecified"] * (channels - colours)
    if image.alpha_HW is not None:
        place = max(entries.get(ALPHA_PLACE, channels), colours)
        samples_HWC = np.insert(samples_HWC, min(place, channels), image.alpha_HW, axis=2)
        extras.insert(place - colours, "assocalpha" if entries.get(ASSOCIATED_ALPHA) else "unassalpha")
    planes = bool(entries.get("tiff_planes"))
    arguments: dict[str, Any] = {"photometric": "rgb" if is_rgb else "minisblack"}
    if samples_HWC.shape[2] == 1:
        return {**arguments, "data": samples_HWC[:, :, 0]}
    data = samples_HWC.transpose(2, 0, 1) if planes else samples_HWC
    return {
        **arguments,
        "data": np.ascontiguousarray(data),
        "planarconfig": "separate" if planes else "contig",
        "extrasamples": extras or None,
    }
