"""What a restorer needs of a machine's memory, measured on tiles before the whole image is tried.

A GPU says that its memory is out; Linux kills the process instead, with every unit that is in flight.
"""

from __future__ import annotations

import math
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.contract import Condition, RestorationModel
from models.restorer import Restorer
from models.tiled_traversal import TiledTraversal
from models.tiling import Tiling

HIDDEN = 1.5
"""Memory that a call takes for each byte of its tensors: kernels have room of their own, and what was let
go is not always taken again. A SwinIR on 640 x 640 took 1.44."""


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes that tensors made under it held at one time: ``peak``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._held: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor):
                self._hold(each.untyped_storage())
        return result

    def _hold(self, storage: torch.UntypedStorage) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        if address in self._held or not size:
            return
        self._held.add(address)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._release, address, size)

    def _release(self, address: int, size: int) -> None:
        self._held.discard(address)
        self._now -= size


class _MeasuredError(Exception):
    """Ends the call: the tile is all that was wanted of it."""


def most_pixels(
    restorer: Restorer,
    tilings: tuple[Tiling, Tiling],
    degraded_BCHW: Tensor,
    condition: Condition,
    memory: float,
) -> float:
    """Pixels of an image that goes through the restorer with so many bytes: a line through two tiles' needs.

    Infinite where it fails on them, or where a larger one needs no more; nothing where the image, no larger
    than a tile, needs more already.
    """
    needs = [tile_need(restorer, tiling, degraded_BCHW, condition) for tiling in tilings]
    if None in needs:
        return math.inf
    (small, low), (large, high) = ((pixels, HIDDEN * bytes_) for pixels, bytes_ in filter(None, needs))
    if small == large:  # both are the image itself
        return math.inf if high <= memory else 0.0
    slope = (high - low) / (large - small)
    return (memory - low) / slope + small if slope > 0 else math.inf


def tile_need(
    restorer: Restorer, tiling: Tiling, degraded_BCHW: Tensor, condition: Condition
) -> tuple[int, int] | None:
    """Pixels of the first tile, and the most bytes held while it is restored; nothing where that fails."""
    found: list[tuple[int, int]] = []

    def first_tile(model: RestorationModel, image_BCHW: Tensor, condition: Condition, scale: int) -> Tensor:
        def measured(degraded_BCHW: Tensor, condition: Condition) -> Tensor:
            with PeakMemory() as peak:
                model(degraded_BCHW, condition)
            found.append((degraded_BCHW.shape[-2] * degraded_BCHW.shape[-1], peak.peak))
            raise _MeasuredError

        return TiledTraversal(tiling, 1)(measured, image_BCHW, condition, scale)

    try:
        with torch.random.fork_rng(devices=[]):
            restorer(degraded_BCHW, condition=condition, traversal=first_tile)
    except _MeasuredError:
        return found[0]
    except Exception:  # whatever it is, the whole image meets it again, where it is dealt with
        return None
    return None
