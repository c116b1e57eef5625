"""One image in a process of its own, with limits: for units that killed the process they ran in.

Run as ``python -m pipeline.worker``: reads a request as JSON, writes the rows as JSON lines.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import RunFolder
from pipeline.pandas_later import put_off_pandas
from pipeline.processing.memory_limit import limit_memory
from pipeline.storage.folder import Folder
from pipeline.units import unit_of
from pipeline.worker.worker import Worker


def main() -> None:
    """The subprocess's side. What goes wrong before it says that it has started is no image's fault."""
    put_off_pandas()
    request = json.load(sys.stdin)
    run = RunFolder.of(Job.parse(request["job"], written=True), Folder(*request["folder"]))
    if request["staging"] is not None:
        run.layout.outlet.stage_in(Path(request["staging"]))
    worker = Worker(run, cores=1)
    limit_memory()
    Path(request["started"]).touch()
    rows = worker.process(unit_of(request["unit"]))
    Path(request["answer"]).write_text(json.dumps(rows, default=lambda value: value.isoformat()))


if __name__ == "__main__":
    main()
