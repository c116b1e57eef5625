"""What a step asks of a GPU, recorded once and played again: a CUDA graph.

A step of a small network is hundreds of calls, which a GPU answers faster than Python makes them; played
again they are one call. What may be recorded, by PyTorch's notes on CUDA graphs: shapes stay, nothing is read
back in between, tensors that are moved stay where they are, and random numbers are those of the device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WARM_UP = 3
"""Steps of a kind that run as they are, so that libraries have chosen their algorithms."""
MOST_KINDS = 8
"""Recordings that are kept: each holds the memory of a step."""
_LOG = logging.getLogger(__name__)

Made = tuple[dict[str, Tensor], list[Tensor]]
"""Scalars by their names, and images."""
Work = Callable[[Sequence[Tensor]], Made]


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    given: list[Tensor]
    scalars_N: Tensor
    kinds: dict[str, torch.dtype]
    images: list[Tensor]
    gradients: list[tuple[nn.Parameter, Tensor]]

    def play(self, given: Sequence[Tensor]) -> Made:
        torch._foreach_copy_(self.given, list(given))
        self.graph.replay()
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        # The next playing writes over what this one made.
        values = zip(self.kinds.items(), self.scalars_N.clone().unbind(), strict=True)
        scalars = {
            name: value if kind.is_floating_point else value.to(kind) for (name, kind), value in values
        }
        return scalars, [each.clone() for each in self.images]


class Replay:
    """``replay(kind, given, work, network)`` gives ``work(given)`` and leaves the gradients that it leaves.

    Whatever is of one ``kind`` and of given tensors of the same shapes is the same work, but for the values
    of these tensors, of the network's parameters and buffers, and of draws on the device. A ``kind`` of
    ``None`` is never recorded. ``wanted``: whether anything is: on a GPU, by one worker, without compilation.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._seen: dict[Hashable, int] = {}
        self._recordings: dict[Hashable, _Recording] = {}

    def __call__(
        self, kind: Hashable, given: Sequence[Tensor], work: Work, network: nn.Module | None = None
    ) -> Made:
        """See the class."""
        if not self._wanted or kind is None:
            return work(given)
        key = (kind, *((each.shape, each.dtype) for each in given))
        if (recording := self._recordings.get(key)) is None:
            self._seen[key] = self._seen.get(key, 0) + 1
            if self._seen[key] <= WARM_UP or len(self._recordings) >= MOST_KINDS:
                return work(given)
            try:
                recording = self._recordings[key] = _recorded(given, work, network)
            except RuntimeError as error:
                self._wanted = False
                first = str(error).splitlines()[0]
                _LOG.warning("steps are not recorded as CUDA graphs, which costs speed alone: %s", first)
                return work(given)
        return recording.play(given)


NEVER = Replay(wanted=False)
"""All steps as they are."""


def _recorded(given: Sequence[Tensor], work: Work, network: nn.Module | None) -> _Recording:
    """Without doing any of it yet."""
    held = [each.clone() for each in given]
    graph = torch.cuda.CUDAGraph()
    # Other threads ask the device for the next samples meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        scalars, images = work(held)
        scalars_N = _stacked(list(scalars.values()), given[0].device)
    parameters = network.parameters() if network is not None else ()
    gradients = [(each, each.grad) for each in parameters if each.grad is not None]
    kinds = {name: each.dtype for name, each in scalars.items()}
    return _Recording(graph, held, scalars_N, kinds, images, gradients)


def _stacked(scalars: Sequence[Tensor], device: torch.device) -> Tensor:
    if not scalars:
        return torch.empty(0, device=device)
    return torch.stack([each.detach().float() for each in scalars])
