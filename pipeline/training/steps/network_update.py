"""How a step moves a network: its optimizer, clipping, and what happens to gradients that are not finite.

A network may be wrapped in ``DistributedDataParallel``. One forward pass per backward pass goes through
the wrapper, which then adds the gradients of all ranks up; further ones go to the network inside, whose
gradients are in the same sum. No buffer is overwritten between forward and backward in this way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass
class NetworkUpdate:
    """A network, its optimizer and the largest norm that its gradient may have."""

    network: nn.Module
    """As it is called; wrapped or not."""
    optimizer: torch.optim.Optimizer
    clip_gradient: float | None = None
    """Gradients with a larger norm over all parameters are scaled down to it; nothing: as they are."""

    @property
    def inner(self) -> nn.Module:
        """The network without its wrapper."""
        if isinstance(self.network, DistributedDataParallel):
            inner: nn.Module = self.network.module
            return inner
        return self.network

    def begin(self) -> None:
        """Forgets the gradients of the step before."""
        self.optimizer.zero_grad(set_to_none=True)

    def judge(self) -> tuple[Tensor, Tensor]:
        """Clips the gradient; gives its norm before, and whether it was finite.

        A gradient that is not finite is taken for zero: it would make all weights NaN for good. All ranks
        decide alike, since their gradients are one sum. Nothing waits for the device.
        """
        parameters = [each for each in self.inner.parameters() if each.grad is not None]
        gradients = [each.grad for each in parameters if each.grad is not None]
        if not gradients:
            raise ValueError(f"no parameter of {type(self.inner).__name__} has a gradient; unfreeze some")
        norm = nn.utils.get_total_norm(gradients)
        finite = norm.isfinite()
        if self.clip_gradient is not None:
            nn.utils.clip_grads_with_norm_(parameters, self.clip_gradient, norm)
        # Zero times NaN is NaN, which then becomes zero: quicker than filling under a mask.
        torch._foreach_mul_(gradients, finite.to(norm.dtype))
        for gradient in gradients:
            gradient.nan_to_num_(0.0)
        return norm, finite

    def move(self) -> None:
        """Moves the network down the gradient."""
        self.optimizer.step()


def unwrapped(network: nn.Module) -> nn.Module:
    """The network as it was built: without data parallelism, without compilation around it."""
    while True:  # either may be around the other
        if isinstance(network, DistributedDataParallel):
            network = network.module
        elif isinstance(compiled := getattr(network, "_orig_mod", None), nn.Module):
            network = compiled
        else:
            return network


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within, the network's parameters take no gradient; those that took none before do not after."""
    moving = [each for each in network.parameters() if each.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def synchronised(network: nn.Module, wanted: bool) -> contextlib.AbstractContextManager[None]:
    """Within, backward passes add up the gradients of all ranks only if ``wanted``; forward belongs in it."""
    if wanted or not isinstance(network, DistributedDataParallel):
        return contextlib.nullcontext()
    return network.no_sync()
