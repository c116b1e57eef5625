"""A student learns what its teacher makes of the same image, and where the teacher looks.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015: the teacher's output is a
target. Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017: so are its attention maps,
sums of squares over channels, which networks of any width share.

Shapes: B batch, C channels, H and W height and width, h and w those of a map.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.training.steps.example import Example

Term = tuple[str, float, Tensor]
"""Name in the report, weight, value."""

DISTANCES = {"l1": F.l1_loss, "mse": F.mse_loss}


class Distillation:
    """``distillation(example, restored_BCHW)`` after the student's forward pass: terms of its loss.

    ``teacher`` is called as a restorer's model, ``student`` is the network inside all wrappers.
    """

    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        *,
        value_range: tuple[float, float],
        weight: float,
        distance: str = "l1",
        feature_weight: float = 0.0,
    ) -> None:
        self._teacher, self._range = teacher.eval().requires_grad_(False), value_range
        self._weight, self._distance, self._feature_weight = weight, DISTANCES[distance], feature_weight
        self._seen = [_Seen(each) for each in (student, teacher)] if feature_weight else []

    def __call__(self, example: Example, restored_BCHW: Tensor) -> list[Term]:
        """The output's term, and that of the features where it has a weight."""
        student = self._seen[0].take() if self._seen else None
        low, high = self._range
        with torch.no_grad():
            taught_BCHW = self._teacher(example.degraded_BCHW * (high - low) + low, example.condition)
        taught_BCHW = (taught_BCHW.float() - low) / (high - low)
        terms = [("teacher", self._weight, self._distance(restored_BCHW, taught_BCHW))]
        if student is not None:
            apart = _apart(_attention(student), _attention(self._seen[1].take()))
            terms.append(("teacher_features", self._feature_weight, apart))
        return terms


class _Seen:
    """What a network's convolution in the middle gave last."""

    def __init__(self, network: nn.Module) -> None:
        convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
        if len(convolutions) < 3:
            raise ValueError("teacher.feature_weight: features are those of convolutions; leave it out")
        self._last: Tensor | None = None
        convolutions[len(convolutions) // 2].register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: Any, output: Tensor) -> None:
        self._last = output

    def take(self) -> Tensor:
        """Once."""
        assert self._last is not None, "the network was not called"
        last, self._last = self._last, None
        return last


def _attention(features_BChw: Tensor) -> Tensor:
    return features_BChw.float().square().mean(1, keepdim=True)


def _apart(first_B1hw: Tensor, second_B1hw: Tensor) -> Tensor:
    """Mean square of the difference of maps of norm 1, at the size of the smaller one."""
    height, width = (min(a, b) for a, b in zip(first_B1hw.shape[-2:], second_B1hw.shape[-2:], strict=True))
    maps = [F.adaptive_avg_pool2d(each, (height, width)).flatten(1) for each in (first_B1hw, second_B1hw)]
    first, second = (F.normalize(each, dim=1) for each in maps)
    return (first - second).square().sum(1).mean()
