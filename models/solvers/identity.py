"""Nothing done: the baseline that every restorer of the same size must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.solver import Solver


@dataclass(frozen=True, kw_only=True)
class Identity(Solver):
    """Returns a copy of the degraded image."""

    name: ClassVar[str] = "identity"

    def card(self, name: str) -> Card:
        """Exact under any tiling."""
        return Card(name=name, summary="The degraded image as it is: the baseline.", task="general")

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, a copy, so that nobody writes into the input."""
        return degraded_BCHW.clone()
