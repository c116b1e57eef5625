"""How many floating-point operations a step takes, and how many a device can do."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

PEAKS: dict[str, dict[str, float]] = {
    "H200": {"bfloat16": 989e12, "float32": 494e12},
    "H100": {"bfloat16": 989e12, "float32": 494e12},
    "A100": {"bfloat16": 312e12, "float32": 156e12},
    "L40S": {"bfloat16": 362e12, "float32": 183e12},
    "RTX 4090": {"bfloat16": 165e12, "float32": 83e12},
}
"""A part of a card's name -> dense operations a second, by the vendor's data sheets; float32 is TF32's."""


class FlopCount(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """``with FlopCount() as count``: adds up products and convolutions, forward and backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Calls through."""
        result = func(*args, **(kwargs or {}))
        count: Callable[..., int] | None = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


def peak_of(device: torch.device, precision: str) -> float | None:
    """Operations a second that the device can do at most; ``None`` where nobody noted it."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peaks[precision] for part, peaks in PEAKS.items() if part in name), None)


def memory_gigabytes(device: torch.device) -> float:
    """The most that was held so far: on the device, or by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
