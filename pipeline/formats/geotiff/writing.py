"""Samples and a header -> a cloud-optimised GeoTIFF, by GDAL's own COG driver.

The header goes to GDAL as a virtual raster over the samples in memory: of all ways in, only that one takes
nodata values which do not fit the type, coordinate epochs, and tags of every domain.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from mmap import mmap
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.geotiff.directory import GDAL_METADATA, read_directory
from pipeline.formats.geotiff.gdal import configured
from pipeline.formats.geotiff.header import Band, RasterHeader
from pipeline.formats.geotiff.opacity import associated
from pipeline.formats.geotiff.orientation import renamed, with_stand_in

TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}
"""NumPy's names of the types of samples, and GDAL's."""
Fill = Callable[[ElementTree.Element, int], None]
"""Puts the whereabouts of a band's samples into its element; the index counts from 0."""
_ORDER = "LSB" if sys.byteorder == "little" else "MSB"
_BAND_DEFAULT = "RESTORA_BAND"
"""Stands for the default domain of bands, which GDAL 3.10 leaves out wherever it copies other domains."""


def write_cog(
    samples_HWC: NDArray[Any], mask_HW: NDArray[np.bool_] | None, header: RasterHeader, level: int
) -> bytes:
    """The file; the same arguments give the same bytes. ``header`` has the samples' size.

    Raises ``ImageError("UNENCODABLE", ...)`` with GDAL's kind of error, but none of its words.
    """
    assert samples_HWC.shape == (header.height, header.width, len(header.bands)), samples_HWC.shape
    size, count = samples_HWC.dtype.itemsize, len(header.bands)
    with ExitStack() as stack:
        library = stack.enter_context(configured("UNENCODABLE"))
        samples = stack.enter_context(library.MemoryFile(samples_HWC.tobytes(), ext=".raw"))

        def fill(band: ElementTree.Element, index: int) -> None:
            add_raw(band, samples.name, index * size, count * size, count * size * header.width)

        mask = None
        if mask_HW is not None:
            bytes_HW = mask_HW.astype(np.uint8) * 255
            mask = stack.enter_context(library.MemoryFile(bytes_HW.tobytes(), ext=".raw"))

        def fill_mask(band: ElementTree.Element, _: int) -> None:
            assert mask is not None
            add_raw(band, mask.name, 0, 1, header.width)

        description = virtual_raster(
            header, samples_HWC.dtype.name, fill, None if mask is None else fill_mask, raw=True
        )
        output = stack.enter_context(library.MemoryFile())
        copy_as_cog(library, description, header, output.name, level)
        data: bytes = output.read()
    for at, right in corrections(data, header):
        data = data[:at] + right + data[at + len(right) :]
    return data


def copy_as_cog(
    library: Any, description: str, header: RasterHeader, path: str, level: int, threads: int = 1
) -> None:
    """A virtual raster as a file at ``path``, but for ``corrections``; threads compress, in order."""
    with library.open(description, "r+", driver="VRT") as raster:
        _describe(raster, header, library)
        try:
            library.shutil.copy(raster, path, driver="COG", **_options(level, threads))
        except Exception as error:  # GDAL's have no public base
            raise ImageError(
                "UNENCODABLE", f"GDAL could not write the GeoTIFF ({type(error).__name__})"
            ) from None


def _options(level: int, threads: int) -> dict[str, Any]:
    # No NBITS: GDAL 3.10 packs samples of fewer bits with whatever lies in memory behind the image.
    return {
        "COMPRESS": "DEFLATE",
        "LEVEL": level,
        "PREDICTOR": "YES",
        "BLOCKSIZE": 512,
        "OVERVIEW_RESAMPLING": "AVERAGE",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": threads,
        "COPY_SRC_MDD": "YES",
    }


def virtual_raster(header: RasterHeader, dtype: str, fill: Fill, fill_mask: Fill | None, *, raw: bool) -> str:
    """The header over samples that lie elsewhere: ``fill`` says of each band where. As text, for GDAL.

    ``raw``: in files without a format of their own, else in other rasters.
    """
    root = ElementTree.Element("VRTDataset", rasterXSize=str(header.width), rasterYSize=str(header.height))
    if header.crs and not header.control_points:
        add(root, "SRS", header.crs, **_epoch(header))
    if header.transform:
        add(root, "GeoTransform", ",".join(repr(each) for each in header.transform))
    _add_control_points(root, header)
    kind = {"subClass": "VRTRawRasterBand"} if raw else {}
    for index in range(len(header.bands)):
        band = add(root, "VRTRasterBand", dataType=TYPES[dtype], band=str(index + 1), **kind)
        if header.nodata is not None:
            add(band, "NoDataValue", header.nodata)
        fill(band, index)
    if fill_mask is not None:
        fill_mask(add(add(root, "MaskBand"), "VRTRasterBand", dataType="Byte", **kind), 0)
    return ElementTree.tostring(root, "unicode")


def _add_control_points(root: ElementTree.Element, header: RasterHeader) -> None:
    if not header.control_points:
        return
    points = add(root, "GCPList", Projection=header.control_points_crs)
    for number, point in enumerate(header.control_points, 1):
        place = {name.capitalize(): repr(float(value)) for name, value in point._asdict().items()}
        add(points, "GCP", Id=str(number), **place)


def add_raw(band: ElementTree.Element, path: str, first: int, pixel: int, line: int) -> None:
    """A band's samples in a file: bytes before the first one, from one to the next, from line to line."""
    add(band, "SourceFilename", path, relativeToVRT="0")
    add(band, "ImageOffset", str(first))
    add(band, "PixelOffset", str(pixel))
    add(band, "LineOffset", str(line))
    add(band, "ByteOrder", _ORDER)


def add(
    parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str
) -> ElementTree.Element:
    """A new element below another."""
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text
    return element


def _epoch(header: RasterHeader) -> dict[str, str]:
    return {} if header.coordinate_epoch is None else {"coordinateEpoch": repr(header.coordinate_epoch)}


def _describe(raster: Any, header: RasterHeader, library: Any) -> None:
    """What GDAL's own calls set: everything that is text."""
    for domain, tags in with_stand_in(header).items():
        raster.update_tags(ns=domain or None, **tags)
    if header.rational:
        raster.update_tags(ns="RPC", **header.rational)
    for domain, text in header.documents.items():
        # A document is one string to GDAL, and rasterio joins what it is given by the first "=".
        name, _, value = text.partition("=")
        raster.update_tags(ns=domain, **{name: value})
    interpretation = library.enums.ColorInterp
    raster.colorinterp = [interpretation(band.interpretation) for band in header.bands]
    raster.descriptions = [band.description or None for band in header.bands]
    raster.scales = [band.scale for band in header.bands]
    raster.offsets = [band.offset for band in header.bands]
    raster.units = [band.unit for band in header.bands]
    for index, band in enumerate(header.bands, 1):
        _describe_band(raster, index, band)


def _describe_band(raster: Any, index: int, band: Band) -> None:
    for domain, tags in band.tags.items():
        raster.update_tags(index, ns=domain or _BAND_DEFAULT, **tags)


def corrections(data: bytes | mmap, header: RasterHeader) -> list[tuple[int, bytes]]:
    """What GDAL could not be told to write so at once: places, and as many bytes as are there."""
    found = (_without_placeholder(data), renamed(data, header.orientation))
    return [*(each for each in found if each is not None), *associated(data, header)]


def _without_placeholder(data: bytes | mmap) -> tuple[int, bytes] | None:
    """The bands' default domain gets its right name, none."""
    directory = read_directory(data)
    assert directory is not None, "GDAL wrote no TIFF"
    if GDAL_METADATA not in directory.tags:
        return None
    text = directory.tags[GDAL_METADATA][2]
    attribute = f' domain="{_BAND_DEFAULT}"'.encode()
    if attribute not in text:
        return None
    return data.find(text), text.replace(attribute, b" " * len(attribute))
