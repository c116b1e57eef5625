"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

MISSING = "–"


def decimals_for(values: Iterable[float | None]) -> int:
    """Decimals that give the largest of the values four significant digits: 28.43, 0.8113."""
    largest = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)
    if largest == 0.0:
        return 2
    return min(max(3 - math.floor(math.log10(largest)), 0), 7)


def number(value: float | None, decimals: int, *, signed: bool = False) -> str:
    """Fixed decimals with a true minus sign; a dash for what is undefined."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """``48 s``, ``12 min 05 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def p_value(p: float | None) -> str:
    """Three decimals, or that it is smaller."""
    if p is None:
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def scale_percent(value: float, low: float, high: float) -> float:
    """Where a value stands between two ends, in per cent; 50 where the ends meet."""
    if high <= low:
        return 50.0
    return round(100 * (value - low) / (high - low), 2)
