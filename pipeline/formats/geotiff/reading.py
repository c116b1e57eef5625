"""An open raster -> its samples and its header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.decoder_warnings import whole_data
from pipeline.formats.geotiff.header import Band, ControlPoint, RasterHeader, Tags, packed_mask
from pipeline.formats.geotiff.limits import DTYPES, refused_dtype
from pipeline.formats.geotiff.profile import DOMAIN, PROFILE
from pipeline.formats.nodata import is_nodata

_PALETTE, _ALPHA = 2, 6
_STRUCTURAL = frozenset({"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "RPC", "EXIF", "TIFF"})
_FLAGS = ("flag_values", "flag_masks")
_STATISTICS = "STATISTICS_"
_EXTREMES = ("TIFFTAG_MINSAMPLEVALUE", "TIFFTAG_MAXSAMPLEVALUE")


def check_raster(raster: Any, limits: Limits) -> None:
    """Refuses what cannot be kept exactly, before a pixel is read."""
    if raster.count < 1 or raster.subdatasets:
        raise ImageError(
            "ANIMATED", "several rasters in one file; split it into one file a raster (gdal_translate)"
        )
    limits.check(raster.height, raster.width)
    if raster.height * raster.width * raster.count > limits.max_samples:
        raise ImageError("TOO_LARGE", "the raster has more bands than any image of its size may have")
    dtypes = set(raster.dtypes)
    if len(dtypes) > 1 or not dtypes <= set(DTYPES):
        raise refused_dtype(" and ".join(sorted(dtypes)))
    if any(map(_holds_classes, (raster.tags(index) for index in range(1, raster.count + 1)))):
        raise ImageError(
            "UNSUPPORTED_COLOUR",
            "a raster with a band of classes or flags, not measurements, by its tags (LAYER_TYPE, "
            "flag_values, flag_masks); take the other bands out with gdal_translate -b",
        )
    if _PALETTE in _interpretations(raster):
        raise ImageError(
            "UNSUPPORTED_COLOUR",
            "a raster with a colour table: classes, not measurements; "
            "expand it with gdal_translate -expand rgb",
        )


def _holds_classes(tags: Tags) -> bool:
    """As GDAL and ERDAS say it of a layer, or CF (3.5) of a variable that became a band."""
    return tags.get("LAYER_TYPE", "").lower() == "thematic" or any(each in tags for each in _FLAGS)


def read_header(
    raster: Any,
    *,
    nodata: str | None,
    has_transform: bool,
    coordinate_epoch: float | None = None,
    mask: bool = True,
) -> RasterHeader:
    """The header; the arguments are what rasterio does not say, and whether to read the file's mask too.

    Raises ``ImageError("BAD_GEOREF", ...)``.
    """
    points, points_crs = raster.gcps
    mask_HW = read_mask(raster) if mask and has_own_mask(raster) else None
    return RasterHeader(
        height=raster.height,
        width=raster.width,
        bands=tuple(_band(raster, index) for index in range(1, raster.count + 1)),
        alpha=_alpha(_interpretations(raster)),
        crs=_wkt(raster.crs),
        coordinate_epoch=coordinate_epoch,
        transform=_transform(raster) if has_transform else None,
        control_points=tuple(ControlPoint(p.col, p.row, p.x, p.y, p.z or 0.0) for p in points),
        control_points_crs=_wkt(points_crs) if points else "",
        rational=raster.tags(ns="RPC"),
        nodata=nodata,
        tags=_tags(raster, 0),
        documents=_documents(raster),
        bits=bits_of(raster),
        mask=None if mask_HW is None else packed_mask(mask_HW),
    )


def read_samples(raster: Any) -> NDArray[Any]:
    """Every block of every band, HWC in the stored type."""
    with whole_data():
        return np.ascontiguousarray(raster.read().transpose(1, 2, 0))


def read_part(raster: Any, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
    """A rectangle of every band, CHW in the stored type."""
    with whole_data():
        samples_CHW: NDArray[Any] = raster.read(window=(rows, columns))
    return samples_CHW


def has_own_mask(raster: Any) -> bool:
    """Whether the file has a mask band; not the one that GDAL derives from nodata or opacity."""
    flags = {each.name for each in raster.mask_flag_enums[0]}
    return "per_dataset" in flags and "alpha" not in flags


def read_mask(
    raster: Any, rows: tuple[int, int] | None = None, columns: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """The file's mask band, HW, True where it says valid; a rectangle of it, or all."""
    window = None if rows is None else (rows, columns)
    with whole_data():
        mask_HW: NDArray[np.bool_] = raster.read_masks(1, window=window) > 0
    return mask_HW


def valid_pixels(
    samples_HWC: NDArray[Any], alpha_HW: NDArray[Any] | None, header: RasterHeader
) -> NDArray[np.bool_] | None:
    """True where every band holds data: mask, opacity, nodata value, finite; ``None`` if everywhere.

    Raises ``ImageError("ALL_NODATA", ...)``.
    """
    valid_HW = data_mask(samples_HWC, alpha_HW, header.own_mask(), header)
    if not valid_HW.any():
        raise ImageError("ALL_NODATA", "not one pixel of the raster holds data in every band")
    return None if valid_HW.all() else valid_HW


def data_mask(
    samples_HWC: NDArray[Any],
    alpha_HW: NDArray[Any] | None,
    mask_HW: NDArray[np.bool_] | None,
    header: RasterHeader,
) -> NDArray[np.bool_]:
    """True where every band holds data, of a part of the raster; the file's own mask is given."""
    valid_HW = np.ones(samples_HWC.shape[:2], bool)
    if mask_HW is not None:
        valid_HW &= mask_HW
    if alpha_HW is not None:
        valid_HW &= alpha_HW > 0
    nodata = header.nodata_value(samples_HWC.dtype.name)
    for band in range(samples_HWC.shape[2]):
        if nodata is not None:
            valid_HW &= ~is_nodata(samples_HWC[:, :, band], nodata)
        if samples_HWC.dtype.kind == "f":
            valid_HW &= np.isfinite(samples_HWC[:, :, band])
    return valid_HW


def _interpretations(raster: Any) -> list[int]:
    return [int(each) for each in raster.colorinterp]


def _alpha(interpretations: list[int]) -> int | None:
    """The one band that is the opacity; where all are, or several, none of them is."""
    alphas = [index for index, each in enumerate(interpretations) if each == _ALPHA]
    return alphas[0] if len(alphas) == 1 and len(interpretations) > 1 else None


def _wkt(crs: Any) -> str:
    return crs.to_wkt(version="WKT2_2019") if crs else ""


def _transform(raster: Any) -> tuple[float, ...]:
    transform = tuple(float(each) for each in raster.transform.to_gdal())
    determinant = transform[1] * transform[5] - transform[2] * transform[4]
    if not np.isfinite(transform).all() or determinant == 0:
        raise ImageError("BAD_GEOREF", "the transform of the raster maps its pixels onto no area")
    return transform


def _band(raster: Any, index: int) -> Band:
    at = index - 1
    return Band(
        description=raster.descriptions[at] or "",
        unit=raster.units[at] or "",
        scale=raster.scales[at],
        offset=raster.offsets[at],
        interpretation=int(raster.colorinterp[at]),
        tags=_tags(raster, index),
    )


def _tags(raster: Any, index: int) -> dict[str, Tags]:
    """Domain -> tags of a band, or of the whole raster for 0, but for statistics, which will not be true."""
    domains = {"": raster.tags(index)}
    for domain in raster.tag_namespaces(index):
        if domain == DOMAIN:
            domains[domain] = {k: v for k, v in raster.tags(index, ns=domain).items() if k == PROFILE}
        elif domain not in _STRUCTURAL and not _is_document(domain):
            domains[domain] = raster.tags(index, ns=domain)
    stale = _STATISTICS if index else _EXTREMES
    domains[""] = {k: v for k, v in domains[""].items() if not k.startswith(stale)}
    return {domain: tags for domain, tags in domains.items() if tags}


def _documents(raster: Any) -> Mapping[str, str]:
    return {
        domain: raster.tags(ns=domain)[domain] for domain in raster.tag_namespaces() if _is_document(domain)
    }


def _is_document(domain: str) -> bool:
    return domain.startswith(("xml:", "json:"))


def bits_of(raster: Any) -> int | None:
    """Bits a sample that no band exceeds, the opacity left out; ``None`` where one has all of its type's."""
    alpha = _alpha(_interpretations(raster))
    bits = [
        raster.tags(index, ns="IMAGE_STRUCTURE").get("NBITS")
        for index in range(1, raster.count + 1)
        if index - 1 != alpha
    ]
    return max(map(int, bits)) if all(bits) else None
