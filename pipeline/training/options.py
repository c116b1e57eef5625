"""How to train, as opposed to what: never changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingOptions:
    """How to train, as opposed to what: never changes the recipe's identity."""

    engine: Literal["ray", "local"] = "ray"
    ray_address: str | None = None
    device: str | None = None
    """Of the local engine: ``cpu``, ``cuda``, ``cuda:1``; ``None``: a GPU where there is one."""
    trace: int | None = None
    """So many steps are traced, into OUT/trace.json."""
    threads: int | None = None
    """Of torch's mathematics, local engine; ``None``: all cores."""
