"""Which samples a nodata value stands for: those that GDAL takes for it.

A value in a text tag is often less exact than the samples, so GDAL compares floats within a tolerance
(``ARE_REAL_EQUAL`` in gdal_priv_templates.hpp): their difference is less than two epsilons of their sum.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ULPS = 2


def is_nodata(samples: NDArray[Any], nodata: Any) -> NDArray[np.bool_]:
    """True where a sample is no data; the value is of the samples' type."""
    exact: NDArray[np.bool_] = samples == nodata
    if samples.dtype.kind != "f" or not np.isfinite(nodata):
        return exact
    one = samples.dtype.type
    with np.errstate(over="ignore", invalid="ignore"):
        # In the samples' own precision, as GDAL does: near the largest float the sum is infinite.
        tolerance = np.abs(samples + nodata) * np.finfo(samples.dtype).eps * one(_ULPS)
        close: NDArray[np.bool_] = np.abs(samples - nodata) < tolerance
    return exact | close


def beside_nodata(nodata: Any, storable: tuple[float, float]) -> Any:
    """The value next to the one of no data that is data: above it, if it may be stored, else below."""
    upwards = nodata < storable[1]
    if not isinstance(nodata, np.floating):
        return nodata + 1 if upwards else nodata - 1
    towards, beside = nodata.dtype.type(np.inf if upwards else -np.inf), nodata
    for _ in range(64):
        beside = np.nextafter(beside, towards)
        if not is_nodata(np.asarray([beside]), nodata)[0]:
            return beside
    # Near the largest float the sum with all that is large is infinite, and so is the tolerance.
    return nodata.dtype.type(0)


def apart_from(samples: NDArray[Any], values: Collection[Any], storable: tuple[float, float]) -> NDArray[Any]:
    """The samples, those that are one of ``values`` moved to the nearest above it that is none, else below.

    What a model makes is data; ``values``: of the samples' type, compared exactly.
    """
    for value in values:
        if (hit := samples == value).any():
            samples = np.where(hit, _free_beside(value, values, storable), samples)
    return samples


def _free_beside(value: Any, values: Collection[Any], storable: tuple[float, float]) -> Any:
    taken = {each.item() for each in values}
    for towards, end in zip((np.inf, -np.inf), reversed(storable), strict=True):
        beside = value
        while beside.item() in taken and beside != end:
            step = 1 if towards > 0 else -1
            beside = (
                np.nextafter(beside, towards)
                if value.dtype.kind == "f"
                else value.dtype.type(int(beside) + step)
            )
        if beside.item() not in taken:
            return beside
    return value
