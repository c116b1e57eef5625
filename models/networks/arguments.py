"""Checks of what a network is built with, in words a person can act on."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def require_at_least(network: str, least: int, **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is a whole number >= ``least``."""
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{network}: {name} must be a whole number of {least} or more, got {value!r}")


def require_one_of(network: str, allowed: Collection[Any], **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is one of ``allowed``."""
    for name, value in values.items():
        if value not in allowed:
            choices = ", ".join(map(str, allowed))
            raise ValueError(f"{network}: {name} must be one of {choices}; got {value!r}")


def require_power_of_two(network: str, least: int, **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is a power of two >= ``least``."""
    for name, value in values.items():
        if not isinstance(value, int) or value < least or value & (value - 1):
            raise ValueError(f"{network}: {name} must be a power of two of {least} or more, got {value!r}")


def require_share(network: str, **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{network}: {name} must be in [0, 1], got {value!r}")


def require_fraction(network: str, **values: Any) -> None:
    """``ValueError`` naming the argument unless each value is in [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{network}: {name} must be in [0, 1), got {value!r}")
