"""Several assets of an item as the bands of one image, where their grids agree."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from pipeline.errors import ImageError
from pipeline.formats.geotiff.gdal import configured
from pipeline.storage.folder import Folder

_MOST_BYTES = 2 << 30
"""Of samples of one image: it is whole in memory."""
_DRIVERS = ["GTiff", "JP2OpenJPEG", "NITF"]


def stacked(assets: list[tuple[str, tuple[Folder, str]]]) -> bytes:
    """A GeoTIFF of the bands of all assets, in order, each described by its asset's name.

    Raises what the store raises, or ``ImageError``: ``ASSET_GRIDS`` where they do not go together,
    ``TOO_LARGE``, ``UNREADABLE``.
    """
    with ExitStack() as stack:
        library = stack.enter_context(configured())
        rasters = []
        for name, (folder, key) in assets:
            file = stack.enter_context(library.MemoryFile(folder.read(key)))
            rasters.append((name, _opened(file, name, stack)))
        _check(rasters)
        return _written(library, rasters)


def _opened(file: Any, name: str, stack: ExitStack) -> Any:
    for driver in _DRIVERS:
        try:
            return stack.enter_context(file.open(driver=driver, sharing=False))
        except Exception:
            continue
    raise ImageError("UNREADABLE", f"the asset {name} is no GeoTIFF, JPEG 2000 or NITF file")


def _check(rasters: list[tuple[str, Any]]) -> None:
    first_name, first = rasters[0]
    for name, other in rasters[1:]:
        for what in ("shape", "transform", "crs", "nodata"):
            mine, its = getattr(first, what), getattr(other, what)
            if mine != its and not (what == "nodata" and mine != mine and its != its):
                raise ImageError(
                    "ASSET_GRIDS", f"{first_name} and {name} differ in their {_CALLED[what]}; {_CURE}"
                )
    dtypes = {dtype for _, each in rasters for dtype in each.dtypes}
    if len(dtypes) > 1:
        raise ImageError(
            "ASSET_GRIDS", f"the assets have the pixel types {', '.join(sorted(dtypes))}; {_CURE}"
        )
    bands = sum(each.count for _, each in rasters)
    if first.width * first.height * bands * _BYTES.get(first.dtypes[0], 8) > _MOST_BYTES:
        raise ImageError(
            "TOO_LARGE",
            "bands of several files are held in memory, and these are too many; restore each asset alone",
        )


_CALLED = {"shape": "size", "transform": "grid", "crs": "coordinate system", "nodata": "value of no data"}
_CURE = "resample them to one, or restore them one by one"
_BYTES = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "float32": 4}


def _written(library: Any, rasters: list[tuple[str, Any]]) -> bytes:
    first = rasters[0][1]
    bands = [(name, raster, index) for name, raster in rasters for index in range(1, raster.count + 1)]
    profile = {
        "driver": "GTiff", "width": first.width, "height": first.height, "count": len(bands),
        "dtype": first.dtypes[0], "crs": first.crs, "nodata": first.nodata, "BIGTIFF": "IF_SAFER",
        "photometric": "MINISBLACK",
    }  # fmt: skip
    if first.transform != library.Affine.identity():
        profile["transform"] = first.transform
    with library.MemoryFile() as file:
        with file.open(**profile) as made:
            for place, (name, raster, index) in enumerate(bands, 1):
                made.write(_samples(raster, index, name), place)
                made.set_band_description(place, name if raster.count == 1 else f"{name} {index}")
                made.set_band_unit(place, raster.units[index - 1] or "")
            made.colorinterp = [library.enums.ColorInterp.gray] + [library.enums.ColorInterp.undefined] * (
                len(bands) - 1
            )
            made.scales = tuple(raster.scales[index - 1] for _, raster, index in bands)
            made.offsets = tuple(raster.offsets[index - 1] for _, raster, index in bands)
            points, points_crs = first.gcps
            if points:
                made.gcps = points, points_crs
        return bytes(file.getbuffer())


def _samples(raster: Any, index: int, name: str) -> Any:
    try:
        return raster.read(index)
    except Exception as error:
        raise ImageError(
            "TRUNCATED", f"the asset {name}: {type(error).__name__} while its pixels were read"
        ) from None
