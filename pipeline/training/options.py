"""How to train, as opposed to what: never changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import JobError


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

    def check(self) -> None:
        """``JobError`` where one is given that the engine would ignore."""
        of_local = {
            "device": "--set resources.gpus_per_worker=1",
            "threads": "--set resources.cpus_per_worker=N",
        }
        if self.engine == "ray":
            for name, instead in of_local.items():
                if (value := getattr(self, name)) is not None:
                    raise JobError(
                        f"--{name} {value}: is for --engine local, and this is Ray, whose workers have what "
                        f"resources says: {instead}"
                    )
        elif self.ray_address is not None:
            raise JobError(f"--ray-address {self.ray_address}: is for --engine ray; leave one of both out")
