"""What a parameter may be: declared where it stands, checked and put into words in one place.

Solvers and operators are dataclasses, their fields declared with ``number``, ``whole``, ``odd``, ``choice``
or ``flag``; networks and losses hand their arguments to ``require``.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol


class Allowed(Protocol):
    """The values that a parameter may take; its text continues "must be ..."."""

    def __contains__(self, value: object) -> bool: ...


def require(owner: str, allowed: Allowed, **values: object) -> None:
    """``ValueError`` naming the owner, the parameter, its value and what is allowed, unless each is."""
    for name, value in values.items():
        if value not in allowed:
            text = str(allowed)
            pause = ";" if "," in text else ","
            raise ValueError(f"{owner}: {name} must be {text}{pause} got {value!r}")


def require_rows(owner: str, **tables: object) -> None:
    """``ValueError`` naming the owner and the parameter, unless each is rows of numbers."""
    for name, table in tables.items():
        rows = table if isinstance(table, tuple | list) else (table,)
        if not all(isinstance(row, tuple | list) and all(map(_is_number, row)) for row in rows):
            raise ValueError(f"{owner}: {name} must be rows of numbers, got {str(table)[:60]}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Checked:
    """Base of dataclasses with a ``name`` whose declared fields are checked when one is made."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):  # type: ignore[arg-type]  # a dataclass it is by then
            if (allowed := each.metadata.get("allowed")) is not None:
                require(self.name, allowed, **{each.name: getattr(self, each.name)})


def number(
    default: Any = dataclasses.MISSING,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    per_band: bool = False,
) -> Any:
    """A number between ``low`` and ``high``, both included, but not ``low`` itself with ``above``.

    A default of None allows None; with ``per_band`` a tuple of one number per band is allowed as well.
    """
    allowed: Allowed = Range(low, high, above=above)
    return _declare(default, PerBand(allowed) if per_band else allowed, is_float=not per_band)


def whole(default: Any = dataclasses.MISSING, low: float = -math.inf, high: float = math.inf) -> Any:
    """A whole number between ``low`` and ``high``, both included; a default of None allows None."""
    return _declare(default, Range(low, high, whole=True))


def odd(default: Any = dataclasses.MISSING) -> Any:
    """An odd whole number, such as a kernel's side; a default of None allows None."""
    return _declare(default, Odd())


def choice(default: str, *others: str) -> Any:
    """One of a few words, the default first."""
    return field(default=default, metadata={"allowed": Words((default, *others))})


def flag(default: bool) -> Any:
    """True or false."""
    return field(default=default, metadata={"allowed": Flag()})


def _declare(default: Any, allowed: Allowed, *, is_float: bool = False) -> Any:
    facts = {"allowed": OrNothing(allowed) if default is None else allowed, "is_float": is_float}
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Range:
    """Finite numbers between two bounds, which belong to it unless ``above`` or ``below``."""

    low: float
    high: float = math.inf
    whole: bool = False
    above: bool = False
    below: bool = False

    def __str__(self) -> str:
        low, high = f"{self.low:g}", f"{self.high:g}"
        if math.isinf(self.high):
            bounds = f"above {low}" if self.above else f"of {low} or more"
        else:
            first = f"above {low}, up" if self.above else f"from {low}"
            bounds = f"{first} to {'below ' if self.below else ''}{high}"
        return f"a {'whole ' if self.whole else ''}number {bounds}"

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int if self.whole else int | float) or isinstance(value, bool):
            return False
        # NaN fails every comparison.
        within = self.low <= value <= self.high and abs(value) < math.inf
        return within and not ((self.above and value == self.low) or (self.below and value == self.high))


@dataclass(frozen=True)
class Odd:
    """Odd whole numbers from 1."""

    def __str__(self) -> str:
        return "an odd whole number of 1 or more, so that there is a centre"

    def __contains__(self, value: object) -> bool:
        return value in Range(1, whole=True) and isinstance(value, int) and value % 2 == 1


@dataclass(frozen=True)
class PowerOfTwo:
    """Powers of two from ``least``."""

    least: int

    def __str__(self) -> str:
        return f"a power of two of {self.least} or more"

    def __contains__(self, value: object) -> bool:
        return value in Range(self.least, whole=True) and isinstance(value, int) and not value & (value - 1)


@dataclass(frozen=True)
class Words:
    """One of a few values."""

    words: tuple[Any, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.words))

    def __contains__(self, value: object) -> bool:
        return value in self.words


@dataclass(frozen=True)
class Flag:
    """True and false."""

    def __str__(self) -> str:
        return "true or false"

    def __contains__(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class OrNothing:
    """What another allows, and None."""

    allowed: Allowed

    def __str__(self) -> str:
        return f"{self.allowed}, or nothing"

    def __contains__(self, value: object) -> bool:
        return value is None or value in self.allowed


@dataclass(frozen=True)
class PerBand:
    """What another allows, or a tuple of one such value per band."""

    allowed: Allowed

    def __str__(self) -> str:
        return f"{self.allowed}, or one per band"

    def __contains__(self, value: object) -> bool:
        values = value if isinstance(value, tuple) else (value,)
        return bool(values) and all(each in self.allowed for each in values)
