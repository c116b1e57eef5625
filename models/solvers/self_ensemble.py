"""The mean over the eight rotations and reflections of an image: a little better for eight times the work.

Timofte, Rothe and Van Gool 2016, "Seven ways to improve example-based single image super resolution",
section 3.6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import PLANES, Condition
from models.solvers.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class SelfEnsemble(Wrapper):
    """Any restorer that does not invert operators, whose kernels would have to turn as well."""

    name: ClassVar[str] = "self_ensemble"
    refusal: ClassVar[str] = "do not turn with the image"

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts."""
        inner = self.restorer.card
        return self._card(
            name,
            f"Mean of {inner.name} over eight rotations and reflections.",
            multiple_of=1,
            minimum_size=1,
            # Padding to a multiple sits on other sides of a turned tile.
            tile_exact=inner.tile_exact and inner.multiple_of == 1,
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BC and the restorer's scale times H and W."""
        passes = turned_passes(
            lambda image_BCHW, told: self.restorer(image_BCHW, condition=told), degraded_BCHW, condition
        )
        total_BCHW = next(passes)
        for each_BCHW in passes:
            total_BCHW = total_BCHW + each_BCHW
        return total_BCHW / 8


def turned_passes(
    restore: Callable[[Tensor, Condition], Tensor], degraded_BCHW: Tensor, condition: Condition
) -> Iterator[Tensor]:
    """The eight rotations and reflections, restored and turned back; the image as it is comes first."""
    yield restore(degraded_BCHW, condition)
    for turns, mirrored in [(t, m) for t in range(4) for m in (False, True)][1:]:
        turned_BCHW = restore(_turn(degraded_BCHW, turns, mirrored), _turned(condition, turns, mirrored))
        yield _turn_back(turned_BCHW, turns, mirrored)


def _turned(condition: Condition, turns: int, mirrored: bool) -> Condition:
    return condition.changed(lambda known: _turn(known, turns, mirrored), PLANES)


def _turn(image: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Whose last two axes are height and width."""
    turned = image.rot90(turns, dims=(-2, -1))
    return turned.flip(-1) if mirrored else turned


def _turn_back(image_BCHW: Tensor, turns: int, mirrored: bool) -> Tensor:
    image_BCHW = image_BCHW.flip(-1) if mirrored else image_BCHW
    return image_BCHW.rot90(-turns, dims=(-2, -1))
