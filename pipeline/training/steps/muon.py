"""Momentum made orthogonal for kernels and matrices, Adam for the rest.

Jordan 2024, "Muon: An optimizer for hidden layers in neural networks". A network without
normalisation shifts the brightness of its output with almost every step of Adam, because all weights
move by the same amount; here each direction of a kernel moves by the same amount instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.training.steps.replay import NEVER, Replay

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's quintic iteration: singular values end between about 0.7 and 1.2."""


class Muon(torch.optim.Optimizer):
    """Steps of spectral norm ``lr`` for parameters of two dimensions or more, taken as a matrix of rows.

    Vectors (biases) move by Adam at ``lr * vector_share``.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 4e-3,
        momentum: float = 0.95,
        vector_share: float = 0.05,
        vector_betas: tuple[float, float] = (0.9, 0.99),
        replay: Replay = NEVER,
    ) -> None:
        defaults = {"momentum": momentum, "vector_share": vector_share, "vector_betas": vector_betas}
        super().__init__(parameters, {"lr": lr, **defaults})
        self._replay = replay  # forty small calls for each shape of kernel otherwise

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step down the gradients that the parameters hold."""
        assert closure is None
        for group in self.param_groups:
            learning = [each for each in group["params"] if each.grad is not None]
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in learning:
                if parameter.ndim > 1:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for alike in by_shape.values():
                self._move_orthogonally(alike, group)
            if vectors := [each for each in learning if each.ndim <= 1]:
                self._move_by_adam(vectors, group)

    def _move_orthogonally(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """All of one shape."""
        momentum = group["momentum"]
        averages, gradients = self._kept("average", parameters), [_gradient(each) for each in parameters]
        torch._foreach_lerp_(averages, gradients, 1.0 - momentum)
        # Nesterov's look ahead.
        direction_NRC = torch.stack(torch._foreach_lerp(gradients, averages, momentum)).flatten(2)
        rows, columns = direction_NRC.shape[1:]
        rate: float = group["lr"] * max(1.0, rows / columns) ** 0.5
        # A GPU wants few large launches; a CPU is twice as fast with one after the other.
        groups = torch.split(direction_NRC, 1) if direction_NRC.device.type == "cpu" else (direction_NRC,)
        moves = [move for each_NRC in groups for move in (rate * self._orthogonal(each_NRC)).unbind()]
        torch._foreach_sub_(
            parameters, [move.reshape(each.shape) for move, each in zip(moves, parameters, strict=True)]
        )

    def _orthogonal(self, matrix_NRC: Tensor) -> Tensor:
        _, (made_NRC,) = self._replay(
            "orthogonal", [matrix_NRC], lambda given: ({}, [orthogonalise(given[0])])
        )
        return made_NRC

    def _move_by_adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["vector_betas"]
        averages, squares = self._kept("average", parameters), self._kept("square", parameters)
        gradients = [_gradient(each) for each in parameters]
        torch._foreach_lerp_(averages, gradients, 1.0 - first)
        torch._foreach_lerp_(squares, torch._foreach_mul(gradients, gradients), 1.0 - second)
        for parameter in parameters:
            self.state[parameter]["step"] = self.state[parameter].get("step", 0) + 1
        steps = [self.state[each]["step"] for each in parameters]
        sizes = torch._foreach_sqrt(torch._foreach_div(squares, [1.0 - second**step for step in steps]))
        torch._foreach_add_(sizes, 1e-8)
        rates = [group["lr"] * group["vector_share"] / (1.0 - first**step) for step in steps]
        torch._foreach_sub_(parameters, torch._foreach_div(torch._foreach_mul(averages, rates), sizes))

    def _kept(self, name: str, parameters: list[Tensor]) -> list[Tensor]:
        """From step to step, zero at first."""
        return [self.state[each].setdefault(name, torch.zeros_like(each)) for each in parameters]


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def orthogonalise(matrix_NRC: Tensor, iterations: int = 5) -> Tensor:
    """``U V'`` of each matrix's singular value decomposition ``U S V'``, nearly: Newton-Schulz iterations."""
    a, b, c = _NEWTON_SCHULZ
    is_wide = matrix_NRC.shape[-2] <= matrix_NRC.shape[-1]
    wide = matrix_NRC if is_wide else matrix_NRC.mT
    wide = wide / (torch.linalg.matrix_norm(wide, keepdim=True) + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    made: Tensor = wide if is_wide else wide.mT
    return made
