"""Several assets of an item as the bands of one image, where their grids agree."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.decoder_warnings import whole_data
from pipeline.formats.geotiff.directory import read_directory
from pipeline.formats.geotiff.gdal import configured
from pipeline.formats.geotiff.limits import check_directory, check_segment_data
from pipeline.formats.geotiff.reading import has_own_mask, read_mask
from pipeline.formats.raster import check_described, driver_of
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
            data = folder.read(key)
            _check_whole(data, name)
            file = stack.enter_context(library.MemoryFile(data))
            rasters.append((name, _opened(file, name, stack)))
        _check(rasters)
        return _written(library, rasters)


def _check_whole(data: bytes, name: str) -> None:
    """Raises ``ImageError`` for what decoding the asset by itself would refuse, and GDAL does not."""
    directory = read_directory(data)
    try:
        if directory is not None:
            check_directory(directory, Limits(_MOST_BYTES), len(data))
            check_segment_data(directory, data)
        elif driver_of(data) is not None:
            check_described(data)
    except ImageError as error:
        raise ImageError(error.reason, f"the asset {name}: {error}") from None


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
        if first.tags(ns="RPC") != other.tags(ns="RPC"):
            raise ImageError(
                "ASSET_GRIDS", f"{first_name} and {name} differ in their rational polynomials; {_CURE}"
            )
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
            made.colorinterp = _interpretations(library.enums.ColorInterp, bands)
            _describe(made, [raster for _, raster in rasters])
            made.scales = tuple(raster.scales[index - 1] for _, raster, index in bands)
            made.offsets = tuple(raster.offsets[index - 1] for _, raster, index in bands)
            points, points_crs = first.gcps
            if points:
                made.gcps = points, points_crs
        return bytes(file.getbuffer())


def _interpretations(kinds: Any, bands: list[tuple[str, Any, int]]) -> list[Any]:
    """Grey and others without a name, opacity where it is one."""
    alphas = [raster.colorinterp[index - 1] == kinds.alpha for _, raster, index in bands]
    plain = [kinds.gray] + [kinds.undefined] * (len(bands) - 1)
    return [
        kinds.alpha if alpha and sum(alphas) == 1 else each for each, alpha in zip(plain, alphas, strict=True)
    ]


def _describe(made: Any, rasters: list[Any]) -> None:
    """What all of them say: tags and rational polynomials. A pixel is known where every mask says so."""
    tags = [raster.tags() for raster in rasters]
    made.update_tags(**{k: v for k, v in tags[0].items() if all(each.get(k) == v for each in tags)})
    if rational := rasters[0].tags(ns="RPC"):
        made.update_tags(ns="RPC", **rational)
    masks = [read_mask(raster) for raster in rasters if has_own_mask(raster)]
    if masks:
        made.write_mask(np.logical_and.reduce(masks))


def _samples(raster: Any, index: int, name: str) -> Any:
    try:
        with whole_data():
            return raster.read(index)
    except ImageError as error:
        raise ImageError(error.reason, f"the asset {name}: {error}") from None
