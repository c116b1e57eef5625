"""GDAL as a codec: bytes in, an open raster out; no file beside the one given, no network, nothing shared."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.errors import ImageError
from pipeline.formats.geotiff import decoder_warnings
from pipeline.formats.geotiff.unraisable import keep_quiet

_CONFIGURATION = {
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_TIFF_INTERNAL_MASK": "YES",
    "GTIFF_IGNORE_READ_ERRORS": "NO",
    # libjpeg only warns of data that end early, and fills the rest with grey.
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    # The virtual raster that is encoded points at samples in memory and comes from no file.
    "GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE": "ALL",
    "PROJ_NETWORK": "OFF",
    # Bytes of decoded blocks in the whole process; GDAL's own choice is a share of the machine's memory.
    "GDAL_CACHEMAX": 192 << 20,
}


def gdal(reason: str = "UNREADABLE") -> Any:
    """The module ``rasterio``; ``ImageError`` of this reason with the cure where it is not installed."""
    try:
        library = importlib.import_module("rasterio")
        for part in ("errors", "io", "shutil"):
            importlib.import_module(f"rasterio.{part}")
    except ImportError:
        raise ImageError(reason, "GeoTIFF and other rasters need GDAL; pip install restora[geo]") from None
    # GDAL's messages quote the file: no file contents in our logs.
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    decoder_warnings.listen()
    keep_quiet()
    # For the whole process, because catch_warnings() is not safe among threads.
    warnings.filterwarnings("ignore", category=library.errors.NotGeoreferencedWarning)
    return library


@contextmanager
def configured(reason: str = "UNREADABLE") -> Iterator[Any]:
    """``rasterio`` with GDAL configured for this thread; raises as ``gdal`` does."""
    library = gdal(reason)
    with library.Env(**_CONFIGURATION):
        yield library


@contextmanager
def opened(data: bytes, driver: str) -> Iterator[Any]:
    """The bytes as an open raster, read by this driver and no other."""
    with (
        configured() as library,
        library.MemoryFile(data) as file,
        file.open(driver=driver, sharing=False) as raster,
    ):
        yield raster


@contextmanager
def opened_file(place: str, driver: str, opener: Callable[[], Any] | None = None) -> Iterator[Any]:
    """A file as an open raster, read piece by piece; ``place`` is a path on disk, or any name for what
    ``opener`` opens. To be read on the thread that entered."""

    def open_it(path: str, mode: str = "rb") -> Any:
        if opener is None or path != place or "w" in mode:
            raise FileNotFoundError(path)  # whatever else GDAL looks for beside the file
        return opener()

    with (
        configured() as library,
        library.open(
            place, driver=driver, sharing=False, **({} if opener is None else {"opener": open_it})
        ) as raster,
    ):
        yield raster
