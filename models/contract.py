"""What a restorer and its caller tell each other: the condition, the calls, the refusal.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from models.operators.base import LinearOperator

IMAGES = ("frames_BTCHW", "guide_BPHW")
"""What of a condition is made of pixels as the image is."""
PLANES = ("mask_B1HW", *IMAGES)
"""What of it has a height and a width, its last two axes."""
TENSORS = ("noise_level_B", *PLANES)
"""All of it that belongs to images of a batch, its first axis. A new one has its place here."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is known about how the image came to be; a restorer takes from it what its card needs."""

    scale: int = 1
    """How many times smaller the degraded image is than the wanted one."""
    noise_level_B: Tensor | None = None
    """Standard deviation of the noise per image, as a fraction of the value range."""
    mask_B1HW: Tensor | None = None
    """1 where a pixel is known, 0 where it must be made up."""
    frames_BTCHW: Tensor | None = None
    """Other frames of the same scene, of the image's size; each may be moved, or lost."""
    place: int = 0
    """How many of the frames come before the image, where they have an order; alike for the whole batch."""
    guide_BPHW: Tensor | None = None
    """A sharper image of the same scene in bands of its own, of the wanted image's size."""
    operators: Sequence[LinearOperator] = ()
    """The linear part of the degradation, in the order it was applied; shared by the whole batch."""
    left_alone: bool = False
    """Whether nobody knows what blurred these images: who would undo it gives them back."""

    def select(self, index: Sequence[int]) -> Condition:
        """What is known of these images of the batch, in this order; a tensor of one stands for all."""
        return self.changed(lambda values_B: _selected(values_B, index))

    def changed(self, change: Callable[[Tensor], Tensor], names: Sequence[str] = TENSORS) -> Condition:
        """With its tensors of these names changed, those that it has."""
        held = {name: getattr(self, name) for name in names}
        changes: dict[str, Any] = {name: change(each) for name, each in held.items() if each is not None}
        return replace(self, **changes)


class RestorerError(ValueError):
    """An image that this restorer cannot take, or an output that cannot be true.

    ``reason`` is the code that goes into the quarantine row.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[RestorerError], tuple[str, str]]:
        return type(self), (self.reason, str(self))


class RestorationModel(Protocol):
    """What a restorer wraps: a network's call or a solver, padded input in the card's value range."""

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """``scale`` times the height and width, in the card's value range."""
        ...


class Traversal(Protocol):
    """How a model is applied to a batch: whole, or tile by tile (``models.tiled_traversal``)."""

    def __call__(
        self, model: RestorationModel, image_BCHW: Tensor, condition: Condition, scale: int
    ) -> Tensor:
        """What ``model(image_BCHW, condition)`` would give, in the card's range; the image is padded, and
        fractions as it came: the model takes what it is called with to the card's range."""
        ...


def _selected(values_B: Tensor, index: Sequence[int]) -> Tensor:
    if len(values_B) == 1:
        return values_B.expand(len(index), *values_B.shape[1:])
    return values_B[list(index)]
