"""One step of training, in plain torch: no files, no clocks, no engine.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn


def add_noise(clean_BCHW: Tensor, levels: tuple[float, float], rng: Generator) -> tuple[Tensor, Tensor]:
    """Noisy images, not clipped, and the standard deviation (B,) that each was given.

    ``levels`` are the bounds of the uniform draw, as fractions of the value range.
    """
    low, high = levels
    level_B = low + (high - low) * torch.rand(len(clean_BCHW), generator=rng)
    noise_BCHW = torch.randn(clean_BCHW.shape, generator=rng)
    return clean_BCHW + noise_BCHW * level_B.view(-1, 1, 1, 1), level_B


def denoising_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    clean_BCHW: Tensor,
    *,
    levels: tuple[float, float],
    clip_gradient: float,
    rng: Generator,
) -> float:
    """Adds noise, takes one step down the mean absolute error, returns that error (fraction of the range)."""
    noisy_BCHW, level_B = add_noise(clean_BCHW, levels, rng)
    optimiser.zero_grad(set_to_none=True)
    loss = F.l1_loss(network(noisy_BCHW, level_B), clean_BCHW)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), clip_gradient)
    optimiser.step()
    return float(loss.detach())


def learning_rate(progress: float, *, peak: float, warm_up: float) -> float:
    """Linear rise over the share ``warm_up`` of the run, then a cosine to zero; ``progress`` in [0, 1]."""
    if progress < warm_up:
        return peak * progress / warm_up
    share = min(1.0, (progress - warm_up) / (1.0 - warm_up))
    return peak * 0.5 * (1.0 + math.cos(math.pi * share))


class MovingAverage:
    """Exponential moving average of a network's weights, which scores better than the last ones.

    The decay starts low and rises to ``decay`` as ``(1 + n) / (10 + n)``, so that the random start
    is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Moves the average towards the weights after step ``step`` (0, 1, ...)."""
        weight = 1.0 - min(self._decay, (1.0 + step) / (10.0 + step))
        for name, tensor in network.state_dict().items():
            self.state[name].lerp_(tensor, weight)
