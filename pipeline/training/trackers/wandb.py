"""Weights & Biases: its account, or files alone with ``WANDB_MODE=offline``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipeline.storage.folder import Folder


def wandb_leaves_the_house() -> bool:
    """Whether it sends anything."""
    return os.environ.get("WANDB_MODE") not in ("offline", "disabled")


class WandbTracker:
    """A run of the project that the environment names (``WANDB_PROJECT``)."""

    def __init__(self, output: Folder, name: str, parameters: Mapping[str, Any]) -> None:
        import wandb

        # Neither the code nor what the machine is: only what it is given.
        settings = wandb.Settings(disable_code=True, disable_git=True)
        self._run: Any = wandb.init(name=name, config=dict(parameters), settings=settings)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()
