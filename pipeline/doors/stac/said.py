"""What an item says of the bands of its assets: ``bands`` of STAC 1.1, ``raster:bands`` of STAC 1.0.

Common metadata (nodata, unit) and raster extension 2.0: said of a band, of its asset or of the item, the
nearest counts. ``data_type`` and ``raster:bits_per_sample`` are left to the file, which knows them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ImageError
from pipeline.imaging.said_band import SaidBand

SAID = ("nodata", "unit", "raster:scale", "raster:offset")
"""Fields that an item may say of all its assets."""
_LISTS = ("bands", "raster:bands")
_NOT_FINITE = ("nan", "inf", "-inf")
_CLASSES = ("classification:classes", "classification:bitfields")


def said_bands(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> tuple[SaidBand, ...]:
    """One for each band that is described, one for all where bands are not told apart; none where nothing is.

    ``ImageError("UNSUPPORTED_COLOUR")`` for classes and flags, which are no measurements.
    """
    lists = [each for each in (_described(asset, name) for name in _LISTS) if each]
    bands: list[Mapping[str, Any]] = [
        {field: value for each in lists for field, value in (each[at] if at < len(each) else {}).items()}
        for at in range(max(map(len, lists), default=0))
    ]
    found = tuple(_band(band, asset, properties) for band in bands or [{}])
    return found if any(each != SaidBand() for each in found) else ()


def _described(asset: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    bands = asset.get(name)
    return [each if isinstance(each, dict) else {} for each in bands] if isinstance(bands, list) else []


def _band(band: Mapping[str, Any], asset: Mapping[str, Any], item: Mapping[str, Any]) -> SaidBand:
    _refuse_classes((band, asset))
    nodata, unit, scale, offset = (
        next((place[name] for place in (band, asset, item) if place.get(name) is not None), None)
        for name in SAID
    )
    return SaidBand(
        _nodata(nodata),
        _number(scale) or _number(band.get("scale")) or 1.0,
        _number(offset) or _number(band.get("offset")) or 0.0,
        str(unit or ""),
    )


def _refuse_classes(places: tuple[Mapping[str, Any], ...]) -> None:
    """What is a class only because it means no data is a measurement elsewhere."""
    for name in _CLASSES:
        found = [each for place in places for each in place.get(name) or ()]
        if not all(isinstance(each, dict) and each.get("nodata") is True for each in found):
            raise ImageError(
                "UNSUPPORTED_COLOUR", f"{name} says classes or flags, not measurements; leave the asset out"
            )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _nodata(value: Any) -> str:
    """As GDAL writes it; empty for what is no number."""
    if isinstance(value, str):
        return value.lower() if value.lower() in _NOT_FINITE else ""
    number = _number(value)
    return "" if number is None else str(int(number)) if number.is_integer() else repr(number)
