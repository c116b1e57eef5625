"""What a solver is: a frozen dataclass of checked parameters, called with an image and its condition.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.noise_level import estimate_noise_level


@dataclass(frozen=True, kw_only=True)
class Solver(ABC):
    """Base of all solvers. Fields are parameters, declared with ``number``, ``whole`` or ``choice``.

    Raises ``ValueError`` naming the parameter, its value and what is allowed.
    """

    name: ClassVar[str]
    """The name in a job: ``{ solver = "total_variation", weight = 0.08 }``."""
    version: ClassVar[int] = 1
    """Goes up whenever the same parameters give other pixels: part of the identity of results."""

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            allowed = each.metadata.get("allowed")
            if allowed is None:
                continue
            value = getattr(self, each.name)
            allowed.check(self.name, each.name, value)
            if isinstance(allowed, Range) and not allowed.integer and value is not None:
                object.__setattr__(self, each.name, float(value))  # 1 and 1.0 are one identity

    @abstractmethod
    def card(self, name: str) -> Card:
        """The facts that follow from these parameters, under the given name."""

    @abstractmethod
    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """The restored image, in the input's dtype; all values fractions of the value range."""

    def parameters(self) -> dict[str, Any]:
        """Field names to values, in the order of declaration."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}


def number(default: float | None, low: float, high: float = math.inf) -> Any:
    """A float parameter between ``low`` and ``high``, both included; a default of None allows None."""
    return field(default=default, metadata={"allowed": Range(low, high, False, default is None)})


def whole(default: int | None, low: int, high: float = math.inf) -> Any:
    """An integer parameter between ``low`` and ``high``, both included; a default of None allows None."""
    return field(default=default, metadata={"allowed": Range(low, high, True, default is None)})


def choice(default: str, *others: str) -> Any:
    """A parameter that is one of a few words, the default first."""
    return field(default=default, metadata={"allowed": Words((default, *others))})


@dataclass(frozen=True)
class Range:
    """Numbers that a parameter may take."""

    low: float
    high: float
    integer: bool
    optional: bool

    def __str__(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        bounds = f">= {self.low:g}" if math.isinf(self.high) else f"from {self.low:g} to {self.high:g}"
        return f"{kind} {bounds}" + (", or nothing" if self.optional else "")

    def check(self, solver: str, parameter: str, value: object) -> None:
        """Raises ``ValueError`` unless the value is allowed."""
        if value is None and self.optional:
            return
        kinds = (int,) if self.integer else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high:
            return
        raise ValueError(f"{solver}: {parameter} must be {self}; got {value!r}")


@dataclass(frozen=True)
class Words:
    """Words that a parameter may take."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.words)

    def check(self, solver: str, parameter: str, value: object) -> None:
        """Raises ``ValueError`` unless the value is allowed."""
        if value not in self.words:
            raise ValueError(f"{solver}: {parameter} must be {self}; got {value!r}")


def noise_level_of(condition: Condition, degraded_BCHW: Tensor) -> Tensor:
    """B111: the noise level that is known, else the blind estimate, in the image's dtype."""
    level_B = condition.noise_level_B
    if level_B is None:
        level_B = estimate_noise_level(degraded_BCHW)
    return level_B.to(degraded_BCHW).reshape(-1, 1, 1, 1).expand(degraded_BCHW.shape[0], 1, 1, 1)
