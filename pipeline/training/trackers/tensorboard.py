"""TensorBoard's event files, in OUT/tensorboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.training.trackers.base import flat


class TensorBoardTracker:
    """Writes with tensorboardX, which ``restora[train]`` brings; a run that goes on adds a file."""

    def __init__(self, output: Folder, name: str, parameters: Mapping[str, Any]) -> None:
        import tensorboardX

        if not output.is_local:
            raise JobError("trackers: tensorboard writes files; give an OUT on this machine, or leave it out")
        self._writer = tensorboardX.SummaryWriter(str(Path(output.url) / "tensorboard"), flush_secs=30)
        rows = "\n".join(f"| {key} | {value} |" for key, value in flat(parameters).items())
        self._writer.add_text("recipe", f"| setting | value |\n| --- | --- |\n{rows}", 0)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what is left."""
        self._writer.close()
