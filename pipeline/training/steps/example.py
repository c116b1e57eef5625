"""What one forward pass of restoration is trained on.

Shapes: B batch, C channels, H and W height and width, h and w those of the degraded image.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields

from torch import Tensor

from models.contract import TENSORS, Condition


@dataclass(frozen=True)
class Example:
    """A batch of degraded images, what they should become, and what is known of the degradation."""

    degraded_BCHW: Tensor
    """Float in [0, 1], noise may leave it; ``scale`` times smaller than the target."""
    target_BCHW: Tensor
    """Float in [0, 1]."""
    condition: Condition = field(default_factory=Condition)
    """Noise level and mask, for networks and losses that take them."""

    def tensors(self) -> list[Tensor]:
        """All that it holds."""
        held = [getattr(self.condition, name) for name in TENSORS]
        return [self.degraded_BCHW, self.target_BCHW, *(each for each in held if each is not None)]

    def of_tensors(self, tensors: Iterator[Tensor]) -> Example:
        """Another one, of what ``tensors`` of it would give."""
        degraded_BCHW, target_BCHW = next(tensors), next(tensors)
        return Example(degraded_BCHW, target_BCHW, self.condition.changed(lambda _: next(tensors)))


def kind_of(examples: Sequence[Example]) -> Hashable:
    """What is known of them but tensors; ``None`` where that is more than can be compared."""
    if any(each.condition.operators for each in examples):
        return None
    return tuple(_known(each.condition) for each in examples)


def _known(condition: Condition) -> Hashable:
    held = {each.name: getattr(condition, each.name) for each in fields(condition)}
    return tuple((name, value is not None if name in TENSORS else value) for name, value in held.items())
