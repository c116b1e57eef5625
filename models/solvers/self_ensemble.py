"""The mean over the eight rotations and reflections of an image: a little better for eight times the work.

Timofte, Rothe and Van Gool 2016, "Seven ways to improve example-based single image super resolution",
section 3.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.restorer import Condition, Restorer
from models.solvers.solver import Solver


@dataclass(frozen=True, kw_only=True)
class SelfEnsemble(Solver):
    """Any restorer that does not invert operators, whose kernels would have to turn as well."""

    name: ClassVar[str] = "self_ensemble"

    restorer: Restorer
    """The restorer that is called eight times, by its name in a job."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.restorer, Restorer):
            raise ValueError(f"{self.name}: restorer must be the name of a restorer, got {self.restorer!r}")
        if "operators" in self.restorer.card.needs:
            raise ValueError(
                f"{self.name}: {self.restorer.card.name} inverts operators, which do not turn with the "
                "image; wrap its denoiser instead"
            )

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts; it pads and takes its value range itself."""
        inner = self.restorer.card
        return replace(
            inner,
            name=name,
            summary=f"Mean of {inner.name} over eight rotations and reflections.",
            value_range=(0.0, 1.0),
            multiple_of=1,
            minimum_size=1,
            # Padding to a multiple sits on other sides of a turned tile.
            tile_exact=inner.tile_exact and inner.multiple_of == 1,
            weights_sha256="",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the restorer's scale times H and W."""
        total_BCHW = self.restorer(degraded_BCHW, condition=condition)
        for turns, mirrored in [(t, m) for t in range(4) for m in (False, True)][1:]:
            turned_BCHW = self.restorer(
                _turn(degraded_BCHW, turns, mirrored), condition=_turned(condition, turns, mirrored)
            )
            total_BCHW = total_BCHW + _turn_back(turned_BCHW, turns, mirrored)
        return total_BCHW / 8


def _turned(condition: Condition, turns: int, mirrored: bool) -> Condition:
    if condition.mask_B1HW is None:
        return condition
    return replace(condition, mask_B1HW=_turn(condition.mask_B1HW, turns, mirrored))


def _turn(image_BCHW: Tensor, turns: int, mirrored: bool) -> Tensor:
    turned_BCHW = image_BCHW.rot90(turns, dims=(-2, -1))
    return turned_BCHW.flip(-1) if mirrored else turned_BCHW


def _turn_back(image_BCHW: Tensor, turns: int, mirrored: bool) -> Tensor:
    image_BCHW = image_BCHW.flip(-1) if mirrored else image_BCHW
    return image_BCHW.rot90(-turns, dims=(-2, -1))
