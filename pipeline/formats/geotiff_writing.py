"""Samples and a header -> a cloud-optimised GeoTIFF, by GDAL's own COG driver.

The header goes to GDAL as a virtual raster over the samples in memory: of all ways in, only that one takes
nodata values which do not fit the type, coordinate epochs, and tags of every domain.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.geotiff_directory import GDAL_METADATA, read_directory
from pipeline.formats.geotiff_gdal import configured
from pipeline.formats.geotiff_header import Band, Header

_TYPES = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}
_ORDER = "LSB" if sys.byteorder == "little" else "MSB"
_BAND_DEFAULT = "RESTORA_BAND"
"""Stands for the default domain of bands, which GDAL 3.10 leaves out wherever it copies other domains."""


def write_cog(
    samples_HWC: NDArray[Any], mask_HW: NDArray[np.bool_] | None, header: Header, level: int
) -> bytes:
    """The file; the same arguments give the same bytes. ``header`` has the samples' size.

    Raises ``ImageError("UNENCODABLE", ...)`` with GDAL's kind of error, but none of its words.
    """
    assert samples_HWC.shape == (header.height, header.width, len(header.bands)), samples_HWC.shape
    with ExitStack() as stack:
        library = stack.enter_context(configured("UNENCODABLE"))
        samples = stack.enter_context(library.MemoryFile(samples_HWC.tobytes(), ext=".raw"))
        mask = None
        if mask_HW is not None:
            bytes_HW = mask_HW.astype(np.uint8) * 255
            mask = stack.enter_context(library.MemoryFile(bytes_HW.tobytes(), ext=".raw")).name
        description = _virtual_raster(header, samples_HWC.dtype.name, samples.name, mask)
        raster = stack.enter_context(library.open(description, "r+", driver="VRT"))
        _describe(raster, header, library)
        output = stack.enter_context(library.MemoryFile())
        try:
            library.shutil.copy(raster, output.name, driver="COG", **_options(level))
        except Exception as error:  # GDAL's have no public base
            raise ImageError(
                "UNENCODABLE", f"GDAL could not write the GeoTIFF ({type(error).__name__})"
            ) from None
        return _without_placeholder(output.read())


def _options(level: int) -> dict[str, Any]:
    # No NBITS: GDAL 3.10 packs samples of fewer bits with whatever lies in memory behind the image.
    return {
        "COMPRESS": "DEFLATE",
        "LEVEL": level,
        "PREDICTOR": "YES",
        "BLOCKSIZE": 512,
        "OVERVIEW_RESAMPLING": "AVERAGE",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": 1,
        "COPY_SRC_MDD": "YES",
    }


def _virtual_raster(header: Header, dtype: str, samples: str, mask: str | None) -> str:
    root = ElementTree.Element("VRTDataset", rasterXSize=str(header.width), rasterYSize=str(header.height))
    if header.crs and not header.control_points:
        _add(root, "SRS", header.crs, **_epoch(header))
    if header.transform:
        _add(root, "GeoTransform", ",".join(repr(each) for each in header.transform))
    _add_control_points(root, header)
    size, count = np.dtype(dtype).itemsize, len(header.bands)
    for index in range(count):
        band = _add(
            root, "VRTRasterBand", dataType=_TYPES[dtype], band=str(index + 1), subClass="VRTRawRasterBand"
        )
        if header.nodata is not None:
            _add(band, "NoDataValue", header.nodata)
        _add_samples(band, samples, index * size, count * size, count * size * header.width)
    if mask is not None:
        parent = _add(root, "MaskBand")
        band = _add(parent, "VRTRasterBand", dataType="Byte", subClass="VRTRawRasterBand")
        _add_samples(band, mask, 0, 1, header.width)
    return ElementTree.tostring(root, "unicode")


def _add_control_points(root: ElementTree.Element, header: Header) -> None:
    if not header.control_points:
        return
    points = _add(root, "GCPList", Projection=header.control_points_crs)
    for number, point in enumerate(header.control_points, 1):
        place = {name.capitalize(): repr(float(value)) for name, value in point._asdict().items()}
        _add(points, "GCP", Id=str(number), **place)


def _add_samples(band: ElementTree.Element, path: str, first: int, pixel: int, line: int) -> None:
    _add(band, "SourceFilename", path, relativeToVRT="0")
    _add(band, "ImageOffset", str(first))
    _add(band, "PixelOffset", str(pixel))
    _add(band, "LineOffset", str(line))
    _add(band, "ByteOrder", _ORDER)


def _add(
    parent: ElementTree.Element, name: str, text: str | None = None, **attributes: str
) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text
    return element


def _epoch(header: Header) -> dict[str, str]:
    return {} if header.coordinate_epoch is None else {"coordinateEpoch": repr(header.coordinate_epoch)}


def _describe(raster: Any, header: Header, library: Any) -> None:
    """What GDAL's own calls set: everything that is text."""
    for domain, tags in header.tags.items():
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


def _without_placeholder(data: bytes) -> bytes:
    """The bands' default domain gets its right name, none, in place: the same number of bytes."""
    directory = read_directory(data)
    assert directory is not None, "GDAL wrote no TIFF"
    if GDAL_METADATA not in directory.tags:
        return data
    text = directory.tags[GDAL_METADATA][2]
    attribute = f' domain="{_BAND_DEFAULT}"'.encode()
    if attribute not in text:
        return data
    at = data.index(text)
    return data[:at] + text.replace(attribute, b" " * len(attribute)) + data[at + len(text) :]
