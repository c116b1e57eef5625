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
    ) -> None:
        defaults = {"momentum": momentum, "vector_share": vector_share, "vector_betas": vector_betas}
        super().__init__(parameters, {"lr": lr, **defaults})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step down the gradients that the parameters hold."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    move = self._orthogonal if parameter.ndim > 1 else self._adam
                    parameter.sub_(move(parameter, parameter.grad, group))

    def _orthogonal(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, momentum = self.state[parameter], group["momentum"]
        average: Tensor = state.setdefault("average", torch.zeros_like(parameter))
        average.lerp_(gradient, 1.0 - momentum)
        # Nesterov's look ahead.
        direction = orthogonalise(gradient.lerp(average, momentum).flatten(1))
        rows, columns = direction.shape
        rate: float = group["lr"] * max(1.0, rows / columns) ** 0.5
        return rate * direction.view_as(parameter)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, (first, second) = self.state[parameter], group["vector_betas"]
        step = state["step"] = state.get("step", 0) + 1
        average: Tensor = state.setdefault("average", torch.zeros_like(parameter))
        square: Tensor = state.setdefault("square", torch.zeros_like(parameter))
        average.lerp_(gradient, 1.0 - first)
        square.lerp_(gradient.square(), 1.0 - second)
        rate: float = group["lr"] * group["vector_share"] / (1.0 - first**step)
        move: Tensor = rate * average / ((square / (1.0 - second**step)).sqrt() + 1e-8)
        return move


def orthogonalise(matrix: Tensor, iterations: int = 5) -> Tensor:
    """``U V'`` of the singular value decomposition ``U S V'``, approximately: Newton-Schulz iterations."""
    a, b, c = _NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = torch.div(wide, torch.linalg.matrix_norm(wide) + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
