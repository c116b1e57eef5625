"""What a solver is: a frozen dataclass of checked parameters, called with an image and its condition.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.noise_level import estimate_noise_level
from models.parameters import Checked, choice, number, whole

__all__ = ["Solver", "choice", "noise_level_of", "number", "whole"]


@dataclass(frozen=True, kw_only=True)
class Solver(Checked, ABC):
    """Base of all solvers. Fields are parameters, declared with ``number``, ``whole`` or ``choice``.

    Raises ``ValueError`` naming the parameter, its value and what is allowed.
    """

    name: ClassVar[str]
    """The name in a job: ``{ solver = "total_variation", weight = 0.08 }``."""
    version: ClassVar[int] = 1
    """Goes up whenever the same parameters give other pixels: part of the identity of results."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.metadata.get("is_float") and value is not None:
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


def noise_level_of(condition: Condition, degraded_BCHW: Tensor) -> Tensor:
    """B111: the noise level that is known, else the blind estimate, in the image's dtype."""
    level_B = condition.noise_level_B
    if level_B is None:
        level_B = estimate_noise_level(degraded_BCHW)
    return level_B.to(degraded_BCHW).reshape(-1, 1, 1, 1).expand(degraded_BCHW.shape[0], 1, 1, 1)
