"""All that a run needs to go on as if it had not been cut off, in one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pipeline.errors import JobError


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Time spent on them, over all sessions."""


def save_checkpoint(
    path: Path,
    *,
    identity: str,
    position: Position,
    network: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    rng: Generator,
) -> None:
    """Writes the file, through a temporary one beside it: a kill leaves the old one whole."""
    content = {
        "identity": identity,
        "position": {"step": position.step, "seconds": position.seconds},
        "network": network.state_dict(),
        "average": average,
        "optimiser": optimiser.state_dict(),
        "rng": rng.get_state(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    torch.save(content, partial)
    partial.replace(path)


def load_checkpoint(
    path: Path,
    *,
    identity: str,
    network: nn.Module,
    average: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    rng: Generator,
) -> Position:
    """Fills what it is given from the file, if there is one, and says how far the run was.

    ``identity`` names settings and data; ``JobError`` where the checkpoint is of others.
    """
    if not path.exists():
        return Position()
    content: dict[str, Any] = torch.load(path, weights_only=True)
    if content["identity"] != identity:
        raise JobError(f"{path} is of a run with other settings or photographs; name another --checkpoint")
    network.load_state_dict(content["network"])
    for name, tensor in content["average"].items():
        average[name].copy_(tensor)
    optimiser.load_state_dict(content["optimiser"])
    rng.set_state(content["rng"])
    return Position(**content["position"])
