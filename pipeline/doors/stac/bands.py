"""Several assets of an item as the bands of one image, where their grids agree."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.decoder_warnings import whole_data
from pipeline.formats.geotiff.directory import read_directory
from pipeline.formats.geotiff.gdal import configured
from pipeline.formats.geotiff.limits import check_directory, check_segment_data
from pipeline.formats.geotiff.reading import bits_of, has_own_mask, read_mask
from pipeline.formats.geotiff.said import for_bands, nodata_of
from pipeline.formats.raster import check_described, driver_of
from pipeline.imaging.said_band import SaidBand
from pipeline.storage.folder import Folder

_MOST_BYTES = 2 << 30
"""Of samples of one image: it is whole in memory."""
_DRIVERS = ["GTiff", "JP2OpenJPEG", "NITF"]


@dataclass(frozen=True)
class _Asset:
    """An open file, and what it and its item say of its bands."""

    name: str
    raster: Any
    said: tuple[SaidBand, ...]
    """One for each band."""

    @property
    def nodata(self) -> float | None:
        """The file's, else the item's."""
        own: float | None = self.raster.nodata
        if own is not None:
            return own
        text = nodata_of(self.said)
        return None if text is None else float(text)

    def scale(self, index: int) -> tuple[float, float]:
        """Of a band counted from 0: value of a stored step, and of a stored 0."""
        own = list(zip(self.raster.scales, self.raster.offsets, strict=True))
        has_own = any(each != (1.0, 0.0) for each in own)
        return own[index] if has_own else (self.said[index].scale, self.said[index].offset)

    @property
    def bits(self) -> int | None:
        """Of a sample of a whole number, where they are fewer than its type has."""
        return bits_of(self.raster) if np.dtype(self.raster.dtypes[0]).kind in "iu" else None

    def unit(self, index: int) -> str:
        """Of a band counted from 0."""
        return self.raster.units[index] or self.said[index].unit


def stacked(assets: list[tuple[str, tuple[Folder, str], tuple[SaidBand, ...]]]) -> bytes:
    """A GeoTIFF of the bands of all assets, in order, each described by its asset's name.

    An asset is its name, its place, and what its item says of its bands. Raises what the store raises, or
    ``ImageError``: ``ASSET_GRIDS`` where they do not go together, ``BAD_ITEM``, ``TOO_LARGE``,
    ``UNREADABLE``.
    """
    with ExitStack() as stack:
        library = stack.enter_context(configured())
        rasters = []
        for name, (folder, key), said in assets:
            data = folder.read(key)
            _check_whole(data, name)
            raster = _opened(stack.enter_context(library.MemoryFile(data)), name, stack)
            bands = for_bands(said, raster.count) if said else (SaidBand(),) * raster.count
            rasters.append(_Asset(name, raster, bands))
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


def _check(assets: list[_Asset]) -> None:
    first = assets[0]
    for other in assets[1:]:
        for called, of in _AGREE.items():
            mine, its = of(first), of(other)
            if mine != its and not (mine != mine and its != its):
                raise ImageError(
                    "ASSET_GRIDS", f"{first.name} and {other.name} differ in their {called}; {_CURE}"
                )
    dtypes = {dtype for each in assets for dtype in each.raster.dtypes}
    if len(dtypes) > 1:
        raise ImageError(
            "ASSET_GRIDS", f"the assets have the pixel types {', '.join(sorted(dtypes))}; {_CURE}"
        )
    bands = sum(each.raster.count for each in assets)
    height, width = first.raster.shape
    if height * width * bands * _BYTES.get(first.raster.dtypes[0], 8) > _MOST_BYTES:
        raise ImageError(
            "TOO_LARGE",
            "bands of several files are held in memory, and these are too many; restore each asset alone",
        )


_AGREE: dict[str, Callable[[_Asset], Any]] = {
    "rational polynomials": lambda asset: asset.raster.tags(ns="RPC"),
    "size": lambda asset: asset.raster.shape,
    "grid": lambda asset: asset.raster.transform,
    "coordinate system": lambda asset: asset.raster.crs,
    "value of no data": lambda asset: asset.nodata,
    "bits a sample": lambda asset: asset.bits,
}
"""What the bands of one image have in common, as messages call it."""
_CURE = "resample them to one, or restore them one by one"
_BYTES = {"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "float32": 4}


def _written(library: Any, assets: list[_Asset]) -> bytes:
    first = assets[0].raster
    bands = [(asset, index) for asset in assets for index in range(asset.raster.count)]
    profile = {
        "driver": "GTiff", "width": first.width, "height": first.height, "count": len(bands),
        "dtype": first.dtypes[0], "crs": first.crs, "nodata": assets[0].nodata, "BIGTIFF": "IF_SAFER",
        "photometric": "MINISBLACK",
    }  # fmt: skip
    if first.transform != library.Affine.identity():
        profile["transform"] = first.transform
    if assets[0].bits is not None and np.dtype(first.dtypes[0]).kind == "u":  # GDAL has none of signed ones
        profile["NBITS"] = assets[0].bits
    with library.MemoryFile() as file:
        with file.open(**profile) as made:
            for place, (asset, index) in enumerate(bands, 1):
                name = asset.name
                made.write(_samples(asset.raster, index + 1, name), place)
                made.set_band_description(place, name if asset.raster.count == 1 else f"{name} {index + 1}")
                made.set_band_unit(place, asset.unit(index))
            made.colorinterp = _interpretations(library.enums.ColorInterp, bands)
            _describe(made, [asset.raster for asset in assets])
            made.scales, made.offsets = zip(*(asset.scale(index) for asset, index in bands), strict=True)
            points, points_crs = first.gcps
            if points:
                made.gcps = points, points_crs
        return bytes(file.getbuffer())


def _interpretations(kinds: Any, bands: list[tuple[_Asset, int]]) -> list[Any]:
    """Grey and others without a name, opacity where it is one."""
    alphas = [asset.raster.colorinterp[index] == kinds.alpha for asset, index in bands]
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
