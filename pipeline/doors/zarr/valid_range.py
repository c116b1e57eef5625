"""Which samples of an array are measurements by their size: CF 2.5.1, NetCDF Users' Guide, appendix A.1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Valid = tuple[float, float]
"""Least and greatest sample."""


def valid_of(
    attributes: Mapping[str, Any], *, is_whole: bool, as_sample: Callable[[float], Any]
) -> Valid | None:
    """By ``valid_range``, or ``valid_min`` and ``valid_max``; ``None`` where every sample may be one.

    They are counted as samples are. Fractions beside whole numbers (``is_whole``) that stand for others by
    ``scale_factor`` and ``add_offset`` are counted as those. ``as_sample``: a stored value as a sample.
    """
    told = attributes.get("valid_range")
    ends: list[Any] = (
        told if isinstance(told, list) else [attributes.get("valid_min"), attributes.get("valid_max")]
    )
    if len(ends) != 2:
        return None
    scale, offset = (float(attributes.get(*each)) for each in (("scale_factor", 1.0), ("add_offset", 0.0)))
    has_scale = (scale, offset) != (1.0, 0.0) and scale != 0
    if is_whole and has_scale and any(isinstance(each, float) for each in ends):
        samples = [None if not _is_number(each) else (each - offset) / scale for each in ends]
        ends = samples if scale > 0 else samples[::-1]
    else:
        ends = [as_sample(each) if _is_number(each) else None for each in ends]
    low, high = (
        absent if each is None else float(each)
        for each, absent in zip(ends, (-math.inf, math.inf), strict=True)
    )
    return (low, high) if low < high and (low, high) != (-math.inf, math.inf) else None


def _is_number(told: Any) -> bool:
    return isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told)
