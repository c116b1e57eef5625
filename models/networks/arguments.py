"""What the arguments of networks may be; each raises ``ValueError`` as ``models.parameters.require``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from models.parameters import PowerOfTwo, Range, Words, require


def require_at_least(network: str, least: int, **values: Any) -> None:
    """Whole numbers of ``least`` or more."""
    require(network, Range(least, whole=True), **values)


def require_one_of(network: str, allowed: Collection[Any], **values: Any) -> None:
    """One of ``allowed``."""
    require(network, Words(tuple(allowed)), **values)


def require_power_of_two(network: str, least: int, **values: Any) -> None:
    """Powers of two of ``least`` or more."""
    require(network, PowerOfTwo(least), **values)


def require_share(network: str, **values: Any) -> None:
    """In [0, 1]."""
    require(network, Range(0, 1), **values)


def require_fraction(network: str, **values: Any) -> None:
    """In [0, 1)."""
    require(network, Range(0, 1, below=True), **values)


def require_positive(network: str, **values: Any) -> None:
    """Above 0."""
    require(network, Range(0, above=True), **values)
