"""Checks of an operator's parameters: errors name the operator, the parameter, its value and the cure."""

from __future__ import annotations

import math
from typing import Any

ROUNDINGS = {"none": 0, "uint8": 255, "uint16": 65535}
"""Highest integer of the grid that an operator rounds to; 0 means that it does not round."""


def require_number(
    operator: Any, field: str, low: float, high: float = math.inf, *, above: bool = False, whole: bool = False
) -> None:
    """Raises ``ValueError`` unless the field is a number in [low, high], or (low, high] with ``above``."""
    _require_in_range(operator, field, getattr(operator, field), low, high, above, whole)


def require_numbers(
    operator: Any, field: str, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """As ``require_number`` for a field that holds one number, or a tuple with one number per band."""
    values = getattr(operator, field)
    if isinstance(values, tuple) and not values:
        raise ValueError(f"{operator.name}: {field} is empty; give a number, or one number per band")
    for value in values if isinstance(values, tuple) else (values,):
        _require_in_range(operator, field, value, low, high, above, whole=False)


def require_choice(operator: Any, field: str, allowed: tuple[str, ...]) -> None:
    """Raises ``ValueError`` unless the field is one of the allowed words."""
    value = getattr(operator, field)
    if value not in allowed:
        raise ValueError(f"{operator.name}: {field} must be one of {', '.join(allowed)}; got {value!r}")


def require_flag(operator: Any, field: str) -> None:
    """Raises ``ValueError`` unless the field is true or false."""
    value = getattr(operator, field)
    if not isinstance(value, bool):
        raise ValueError(f"{operator.name}: {field} must be true or false, got {value!r}")


def require_odd(operator: Any, field: str) -> None:
    """Raises ``ValueError`` unless the field is an odd whole number >= 1, so that a kernel has a centre."""
    require_number(operator, field, 1, whole=True)
    value = getattr(operator, field)
    if value % 2 == 0:
        raise ValueError(f"{operator.name}: {field} must be odd, so that it has a centre; got {value}")


def per_band(operator: Any, field: str, channels: int) -> tuple[float, ...]:
    """The field's value for each channel; ``ValueError`` where a tuple is not of that length."""
    values = getattr(operator, field)
    if not isinstance(values, tuple):
        return (float(values),) * channels
    if len(values) != channels:
        raise ValueError(
            f"{operator.name}: {field} holds {len(values)} values but the image has {channels} channels; "
            "give one number, or one number per channel"
        )
    return values


def _require_in_range(
    operator: Any, field: str, value: Any, low: float, high: float, above: bool, whole: bool
) -> None:
    kinds = int if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    # NaN fails both comparisons.
    if is_number and low <= value <= high and math.isfinite(value) and not (above and value == low):
        return
    noun = "a whole number" if whole else "a number"
    if math.isinf(high):
        wanted = f"{'>' if above else '>='} {low:g}"
    else:
        wanted = f"in {'(' if above else '['}{low:g}, {high:g}]"
    raise ValueError(f"{operator.name}: {field} must be {noun} {wanted}, got {value!r}")
