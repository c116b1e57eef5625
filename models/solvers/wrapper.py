"""What solvers share that call another restorer on rearranged images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from models.card import Card
from models.restorer import Restorer
from models.solvers.solver import Solver


@dataclass(frozen=True, kw_only=True)
class Wrapper(Solver):
    """Base of solvers around a restorer that does not invert operators."""

    refusal: ClassVar[str]
    """Why operators cannot be handed on, to be read after "inverts operators, which"."""

    restorer: Restorer
    """The restorer within, by its name in the catalog or the address of its weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_wrappable(self.name, self.restorer, self.refusal)

    def _card(self, name: str, summary: str, **facts: Any) -> Card:
        """The facts of the restorer within, which pads and takes its value range itself, and others."""
        own = replace(
            self.restorer.card, name=name, summary=summary, value_range=(0.0, 1.0), weights_sha256=""
        )
        return replace(own, **facts)


def _require_wrappable(solver: str, restorer: object, refusal: str) -> None:
    if not isinstance(restorer, Restorer):
        raise ValueError(f"{solver}: restorer must be the name of a restorer, got {restorer!r}")
    if restorer.card.inverts_operators:
        raise ValueError(
            f"{solver}: {restorer.card.name} inverts operators, which {refusal}; wrap its denoiser instead"
        )
