"""Which samples a nodata value stands for: those that GDAL takes for it.

A value in a text tag is often less exact than the samples, so GDAL compares floats within a tolerance
(``ARE_REAL_EQUAL`` in gdal_priv_templates.hpp): their difference is less than two epsilons of their sum.
"""

from __future__ import annotations

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
