"""Rasters of every kind that archives hold, made by GDAL's plain GeoTIFF driver."""

import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data as photographs

from pipeline.imaging.image import Image, Provenance

LANDSAT = Path("/usr/lib/R/site-library/stars/tif/L7_ETMs.tif")
ELEVATION = Path("/usr/lib/R/site-library/stars/tif/olinda_dem_utm25s.tif")
UTM = "EPSG:32632"
NORTH_UP = (30.0, 0.0, 500000.5, 0.0, -30.0, 4000000.25)
ROTATED = (8.0, 5.0, 500000.0, 5.0, -8.0, 4000000.0)
RATIONAL = {
    "HEIGHT_OFF": "30.123456789",
    "HEIGHT_SCALE": "501",
    "LAT_OFF": "44.4321",
    "LAT_SCALE": "0.0708",
    "LONG_OFF": "11.3365",
    "LONG_SCALE": "0.0975",
    "LINE_OFF": "24.25",
    "LINE_SCALE": "24.5",
    "SAMP_OFF": "39.75",
    "SAMP_SCALE": "40.5",
    "LINE_NUM_COEFF": " ".join(["0.001", "0.01", "-1.02", "0.03"] + ["1e-06"] * 16),
    "LINE_DEN_COEFF": " ".join(["1"] + ["2e-05"] * 19),
    "SAMP_NUM_COEFF": " ".join(["0.002", "1.01", "0.02", "-0.01"] + ["3e-06"] * 16),
    "SAMP_DEN_COEFF": " ".join(["1"] + ["1e-05"] * 19),
    "ERR_BIAS": "0.5",
    "ERR_RAND": "0.25",
}
XMP = '<?xpacket begin="\ufeff" id="W5M"?>\n<x:xmpmeta  xmlns:x="adobe:ns:meta/"/><?xpacket end="w"?>'


def ground(bands: int, dtype: str = "uint8", height: int = 50, width: int = 81) -> np.ndarray:
    """A photograph's texture as CHW bands of any type, a different part for every band."""
    whole = photographs.camera()
    parts = [whole[90 + 7 * i :, 150 + 11 * i :][:height, :width] for i in range(bands)]
    stack_CHW = np.stack(parts).astype(np.float64)
    if dtype == "float32":
        return (stack_CHW / 255 * 0.6 + 0.01).astype(dtype)
    step, first = {"uint8": (1, 0), "uint16": (37, 1), "int16": (9, -900)}[dtype]
    return (stack_CHW * step + first).astype(dtype)


def geotiff(
    samples_CHW: np.ndarray, edit: Any = None, mask: np.ndarray | None = None, **profile: Any
) -> bytes:
    """The bands as a GeoTIFF; ``edit`` is called with the open dataset, for what a profile does not hold."""
    import rasterio

    count, height, width = samples_CHW.shape
    grid = {"crs": UTM, "transform": rasterio.Affine(*NORTH_UP)} | profile
    shape = {"height": height, "width": width, "count": count, "dtype": samples_CHW.dtype.name}
    settings = {"GDAL_TIFF_INTERNAL_MASK": "YES", "GDAL_PAM_ENABLED": "NO"}
    with warnings.catch_warnings(), rasterio.Env(**settings), rasterio.MemoryFile() as file:
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with file.open(driver="GTiff", **shape, **grid) as dataset:
            if edit is not None:
                edit(dataset)
            dataset.write(samples_CHW)
            if mask is not None:
                dataset.write_mask(mask)
        return file.read()


def _physical(dataset: Any) -> None:
    dataset.scales, dataset.offsets = (0.0001, 2.75e-05), (-0.1, -0.2)
    dataset.units = ("reflectance", "1")
    dataset.descriptions = ("B02 – blau", "B03 <green> & more")


def _tagged(dataset: Any) -> None:
    dataset.update_tags(
        SENSOR="MSI", NOTE="a=b; c <d> & é\nsecond line", TIFFTAG_DATETIME="2020:06:01 10:00:00"
    )
    dataset.update_tags(TIFFTAG_SOFTWARE="somebody's processor 1.2", TIFFTAG_IMAGEDESCRIPTION="a scene")
    dataset.update_tags(ns="PROVIDER", PRODUCT="L2A", BASELINE="04.00")
    dataset.update_tags(ns="xml:XMP", **dict([XMP.split("=", 1)]))
    for band in (1, 2, 3):
        dataset.update_tags(band, WAVELENGTH=str(490 + band), STATISTICS_MEAN="3.5", STATISTICS_MINIMUM="0")
        dataset.update_tags(band, ns="CALIBRATION", GAIN=f"0.0{band}")
    dataset.descriptions = ("red edge", None, "swir")


def _alpha(dataset: Any) -> None:
    from rasterio.enums import ColorInterp

    dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def control_points() -> list[Any]:
    """Four corners and the middle of 81 x 50 pixels, on odd places."""
    from rasterio.control import GroundControlPoint

    places = [(0, 0), (0, 80.5), (49.25, 0), (49.25, 80.5), (25.125, 40)]
    return [
        GroundControlPoint(row, col, 11.0 + col * 1.1e-4 + row * 1e-5, 44.0 - row * 1.3e-4, 12.5 * i)
        for i, (row, col) in enumerate(places)
    ]


def _holes(samples_CHW: np.ndarray, value: float) -> np.ndarray:
    samples_CHW = samples_CHW.copy()
    samples_CHW[:, 10:20, 30:45] = value
    samples_CHW[0, 40, 3] = value
    return samples_CHW


@cache
def rasters() -> dict[str, bytes]:
    """Name -> file, 81 x 50 pixels but for the thin one."""
    import rasterio
    from rasterio.enums import ColorInterp

    mask = np.full((50, 81), 255, np.uint8)
    mask[5:17, :33] = 0
    opacity = np.where(mask[None] > 0, 255, 0).astype(np.uint8)
    opacity[:, 30:, 60:] = 128
    nan = _holes(ground(2, "float32"), np.nan)
    rotated = rasterio.Affine(*ROTATED)
    spectral = (ColorInterp.nir, ColorInterp.gray)
    nowhere = {"crs": None, "transform": None}
    lowest = -3.4028234663852886e38
    tiled = {"tiled": True, "blockxsize": 16, "blockysize": 32}
    corners = {"gcps": control_points(), "crs": "EPSG:4326", "transform": None}
    return {
        "north-up": geotiff(ground(4, "uint16")),
        "rotated": geotiff(ground(1), transform=rotated),
        "south-up": geotiff(ground(1), transform=rasterio.Affine(0.1, 0, 10, 0, 0.1, 40), crs="EPSG:4326"),
        "physical": geotiff(ground(2, "uint16"), _physical),
        "tagged": geotiff(ground(3, "uint16"), _tagged),
        "point": geotiff(ground(1, "int16"), lambda d: d.update_tags(AREA_OR_POINT="Point"), nodata=-32768),
        "rational": geotiff(ground(1, "uint16"), lambda d: d.update_tags(ns="RPC", **RATIONAL), **nowhere),
        "control-points": geotiff(ground(2), **corners),
        "masked": geotiff(ground(3), mask=mask),
        "masked-float": geotiff(ground(1, "float32"), mask=mask),
        "alpha": geotiff(np.concatenate([ground(3), opacity]), _alpha),
        "negative": geotiff(_holes(ground(2, "int16"), -9999), nodata=-9999),
        "nodata-zero": geotiff(_holes(ground(4, "uint16"), 0), nodata=0),
        "nan": geotiff(nan, nodata=float("nan")),
        "nan-undeclared": geotiff(nan),
        "lowest-float": geotiff(_holes(ground(1, "float32"), lowest), nodata=lowest),
        "rgb": geotiff(ground(3), photometric="RGB"),
        "spectral": geotiff(ground(2), lambda d: setattr(d, "colorinterp", spectral)),
        "12-bit": geotiff(ground(2, "uint16") // 4, NBITS=12),
        "bigtiff": geotiff(ground(2), BIGTIFF="YES"),
        "big-endian": geotiff(ground(2, "int16"), ENDIANNESS="BIG"),
        "tiled-lzw": geotiff(ground(3, "uint16"), **tiled, compress="LZW", predictor=2),
        "zstd": geotiff(ground(3, "float32"), compress="ZSTD", predictor=3, interleave="band"),
        "deflate-planes": geotiff(ground(5), **tiled, compress="DEFLATE", interleave="band"),
        "no-georeference": geotiff(ground(1, "float32"), **nowhere),
        "thin": geotiff(ground(1, height=1)),
    }


RASTERS = (
    "north-up", "rotated", "south-up", "physical", "tagged", "point", "rational", "control-points",
    "masked", "masked-float", "alpha", "negative", "nodata-zero", "nan", "nan-undeclared", "lowest-float",
    "rgb", "spectral", "12-bit", "bigtiff", "big-endian", "tiled-lzw", "zstd", "deflate-planes",
    "no-georeference", "thin",
)  # fmt: skip
"""Names of ``rasters()``, known without making them."""
REAL = {"landsat": LANDSAT, "elevation": ELEVATION}
NAMES = [*RASTERS, *REAL]
MADE = Provenance("some-model", "a" * 64, "b" * 64, "c" * 64, "0.1.0")
TAGS = {
    "RESTORE_MODEL": "some-model",
    "RESTORE_SHA256": "a" * 64,
    "RESTORE_CONFIG_SHA256": "b" * 64,
    "RESTORE_SOURCE_SHA256": "c" * 64,
    "RESTORE_VERSION": "0.1.0",
}
"""What a run leaves in the file, from ``MADE``."""


def source(name: str) -> bytes:
    """One of ``NAMES``; skips the test where a real one is not installed."""
    if name not in REAL:
        return rasters()[name]
    if not REAL[name].exists():
        pytest.skip("Debian's r-cran-stars is not installed")
    return REAL[name].read_bytes()


def restored(image: Image, factor: int = 1) -> Image:
    """What a restorer of this scale makes that changes nothing, with the record of a run."""
    enlarged = image.with_pixels(image.pixels_HWC.repeat(factor, 0).repeat(factor, 1))
    return replace(enlarged, metadata=replace(image.metadata, provenance=MADE))
