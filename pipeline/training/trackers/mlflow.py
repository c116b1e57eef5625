"""MLflow: where ``MLFLOW_TRACKING_URI`` points, else its own default folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipeline.storage.folder import Folder
from pipeline.training.trackers.base import flat

_LONGEST = 500
"""Of a parameter's text, by MLflow's servers."""


def mlflow_leaves_the_house() -> bool:
    """Whether the tracking server is somewhere else."""
    place = os.environ.get("MLFLOW_TRACKING_URI", "")
    return place.startswith(("http", "databricks")) and "//localhost" not in place and "//127." not in place


class MlflowTracker:
    """A run of the experiment that the environment names (``MLFLOW_EXPERIMENT_NAME``)."""

    def __init__(self, output: Folder, name: str, parameters: Mapping[str, Any]) -> None:
        import mlflow

        self._mlflow: Any = mlflow
        mlflow.start_run(run_name=name)
        mlflow.log_params({key: value[:_LONGEST] for key, value in flat(parameters).items()})

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Metrics."""
        self._mlflow.log_metrics(dict(values), step=step)

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()
