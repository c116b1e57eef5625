"""Weights & Biases: its account, or files alone with ``WANDB_MODE=offline``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipeline.storage.folder import Folder

_ONLY_WHAT_IT_IS_GIVEN: dict[str, Any] = {
    **dict.fromkeys(("disable_code", "disable_git", "disable_job_creation"), True),
    **dict.fromkeys(("x_disable_meta", "x_disable_stats", "x_disable_machine_info"), True),
    "x_save_requirements": False,
    "console": "off",
}
"""Neither code, output and packages, nor paths, programs and load of the machine."""


def wandb_leaves_the_house() -> bool:
    """Whether it sends anything."""
    return os.environ.get("WANDB_MODE") not in ("offline", "disabled")


class WandbTracker:
    """A run of the project that the environment names (``WANDB_PROJECT``)."""

    def __init__(self, output: Folder, name: str, parameters: Mapping[str, Any]) -> None:
        import wandb

        settings = wandb.Settings(**_ONLY_WHAT_IT_IS_GIVEN)
        self._run: Any = wandb.init(name=name, config=dict(parameters), settings=settings)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()
