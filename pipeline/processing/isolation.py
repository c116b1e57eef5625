"""One image in a process of its own, with limits: for units that killed the process they ran in."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
from datetime import datetime
from typing import Any

from pipeline.errors import ImageError, RunStopped
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import Row
from pipeline.storage.scratch import scratch
from pipeline.subprocesses import command_of, environment
from pipeline.units import Unit


def process(run: RunFolder, unit: Unit, seconds: float) -> list[Row] | ImageError:
    """The rows of a unit of one image, or why its process ended. Commits nothing.

    ``RunStopped`` where the process does not even start: too little memory is allowed, a library is missing.
    """
    with scratch("alone") as folder:
        answer, started = folder / "rows.json", folder / "started"
        request = {
            "job": run.job.model_dump(mode="json"),
            "folder": [run.folder.url, run.folder.profile],
            "unit": dataclasses.asdict(unit),
            "answer": str(answer),
            "started": str(started),
            "staging": None if (staging := run.layout.outlet.staging) is None else str(staging),
        }
        try:
            ended = subprocess.run(
                command_of("pipeline.worker"),
                input=json.dumps(request), text=True, timeout=seconds, env=environment(),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return ImageError("TIMED_OUT", f"not done after {seconds:g} s alone")
        if ended.returncode != 0 and not started.exists():
            raise RunStopped(
                f"the process that takes images one by one does not start ({_ending(ended.returncode)}): "
                "allow it more memory (ulimit -v), or see what python -m pipeline.worker says"
            )
        if ended.returncode != 0:
            return ImageError("CRASHED", f"its process ended by {_ending(ended.returncode)}")
        return [_revived(row) for row in json.loads(answer.read_text())]


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _revived(row: dict[str, Any]) -> Row:
    return row | {"finished_at": datetime.fromisoformat(row["finished_at"])}
