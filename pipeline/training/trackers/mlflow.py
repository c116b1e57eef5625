"""MLflow: where ``MLFLOW_TRACKING_URI`` points, else its own default folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pipeline.storage.folder import Folder
from pipeline.training.trackers.base import flat

_HERE = ("localhost", "127.0.0.1", "::1")
_LONGEST = 500
"""Of a parameter's text, by MLflow's servers."""


def mlflow_leaves_the_house() -> bool:
    """Whether the tracking server, a database or a store of files, is or may be somewhere else."""
    place = os.environ.get("MLFLOW_TRACKING_URI", "")
    try:
        url = urlsplit(place)
        host = (url.hostname or "").lower()
    except ValueError:
        return True
    if url.scheme in ("", "file", "sqlite") and not place.lower().startswith("databricks"):
        return host not in ("", *_HERE)
    return host not in _HERE


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
