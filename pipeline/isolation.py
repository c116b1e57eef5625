"""One image in a process of its own, with limits: for units that killed the process they ran in.

Run as ``python -m pipeline.isolation``: reads a request as JSON, writes the rows as JSON lines.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import ImageError
from pipeline.jobs import Job
from pipeline.ledger import Row
from pipeline.plan import Unit, unit_of
from pipeline.storage import Folder

MEMORY_SHARE = 0.75
"""Address space that the process may use, as a share of this machine's memory."""


def process(job: Job, books: Folder, unit: Unit, seconds: float) -> list[Row] | ImageError:
    """The rows of a unit of one image, or why its process ended. Commits nothing."""
    with tempfile.TemporaryDirectory(prefix="restora-alone-") as folder:
        answer = Path(folder) / "rows.json"
        request = {
            "job": job.model_dump(mode="json"),
            "books": [books.url, books.profile],
            "unit": dataclasses.asdict(unit),
            "answer": str(answer),
        }
        try:
            ended = subprocess.run(
                [sys.executable, "-m", "pipeline.isolation"],
                input=json.dumps(request), text=True, timeout=seconds,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return ImageError("TIMED_OUT", f"not done after {seconds:g} s alone")
        if ended.returncode != 0:
            return ImageError("CRASHED", f"its process ended by {_ending(ended.returncode)}")
        return [_revived(row) for row in json.loads(answer.read_text())]


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _revived(row: dict[str, Any]) -> Row:
    return row | {"finished_at": datetime.fromisoformat(row["finished_at"])}


def main() -> None:
    """The subprocess's side."""
    from pipeline.worker import Worker  # the worker imports this module

    request = json.load(sys.stdin)
    _limit_memory()
    worker = Worker(Job.parse(request["job"]), Folder(*request["books"]), threads=1)
    rows = worker.process(unit_of(request["unit"]))
    Path(request["answer"]).write_text(json.dumps(rows, default=lambda value: value.isoformat()))


def _limit_memory() -> None:
    import resource

    most = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * MEMORY_SHARE)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
