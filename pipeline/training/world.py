"""The workers of a run, seen from one of them. A run of one worker needs no process group."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

_BUFFERS = "forward_sync_buffers"
if _BUFFERS not in inspect.signature(DistributedDataParallel).parameters:
    _BUFFERS = "broadcast_buffers"  # what it was called before torch 2.13


@dataclass(frozen=True)
class World:
    """``World()`` is a run of one worker; others belong to the process group of ``torch.distributed``."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this worker writes."""
        return self.rank == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are shared; itself where there is one worker.

        Buffers are not sent around before each forward: a second forward before the backward, as in a
        discriminator's step, would find them changed (pytorch 22095).
        """
        if self.size == 1:
            return network
        options: dict[str, Any] = {_BUFFERS: False}
        if self.device.type == "cuda":
            options["device_ids"] = [self.device.index or 0]
        return DistributedDataParallel(network, **options)

    def any(self, flag: bool) -> bool:
        """Whether any worker says so; every worker must ask."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=self.device)
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return bool(flags.item())

    def mean(self, values_N: Tensor) -> Tensor:
        """The mean over the workers; every worker must ask."""
        if self.size > 1:
            values_N = values_N.clone()
            dist.all_reduce(values_N)
            values_N /= self.size
        return values_N

    def from_leader(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The first worker's tensors, on the host, for every worker; every worker must ask.

        Parameters are the same everywhere, statistics of batches are each worker's own.
        """
        if self.size == 1:
            return state
        shared = {}
        for name, tensor in state.items():
            shared[name] = tensor.to(self.device).contiguous()
            dist.broadcast(shared[name], src=0)
        return {name: tensor.cpu() for name, tensor in shared.items()}

    def gathered(self, value: T) -> list[T]:
        """Every worker's value, in order of rank; every worker must ask."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until every worker is here."""
        if self.size > 1:
            dist.barrier()
