"""Where the rows of a training's table go beside it: one small protocol, each a soft dependency.

A tracker is given numbers and the recipe without addresses of private data; never images or names of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.training.trackers.base import Tracker
from pipeline.training.trackers.mlflow import MlflowTracker, mlflow_leaves_the_house
from pipeline.training.trackers.tensorboard import TensorBoardTracker
from pipeline.training.trackers.wandb import WandbTracker, wandb_leaves_the_house

TRACKERS: dict[str, Callable[[Folder, str, Mapping[str, Any]], Tracker]] = {
    "tensorboard": TensorBoardTracker,
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
}
"""Name in a recipe -> ``build(output, name, parameters)``."""

LEAVES_THE_HOUSE: dict[str, Callable[[], bool]] = {
    "mlflow": mlflow_leaves_the_house,
    "wandb": wandb_leaves_the_house,
}
"""Those that may send what they are given to another machine, and whether they would."""


def check_privacy(names: Sequence[str]) -> None:
    """``JobError`` where a tracker would send what is learnt from private data elsewhere."""
    for name in names:
        if LEAVES_THE_HOUSE.get(name, lambda: False)():
            raise JobError(
                f"trackers: {name} would send the course of a training on private data to another machine; "
                "set tracks_private = true where that is allowed, or leave it out"
            )


def open_trackers(
    names: Sequence[str], output: Folder, name: str, parameters: Mapping[str, Any]
) -> list[Tracker]:
    """One of each; ``JobError`` with the cure where its package is not installed."""
    opened = []
    for each in names:
        try:
            opened.append(TRACKERS[each](output, name, parameters))
        except ImportError as error:
            raise JobError(f"trackers: {each} needs {error.name}; pip install {error.name}") from error
    return opened
