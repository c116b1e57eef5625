"""An output and its sources are two places: no original is written over, no result taken for a source."""

from __future__ import annotations

from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.privacy.datasets import folder_of
from pipeline.storage.folder import Folder
from pipeline.storage.places import contains

WRITTEN = ("objects", "ledger", "plan", "tables", "report", "attempts", "scenes", "lease")
"""What a benchmark writes below its output; images may be beside it, as the demo's are."""


def refuse_overlap(job: Job) -> None:
    """``JobError`` where a dataset and the output are inside one another, as places and not as texts."""
    output = Folder(job.output, job.output_profile)
    for index, dataset in enumerate(job.datasets):
        folder = folder_of(dataset)
        where = f"datasets[{index}], {_shown(dataset)}"
        if contains(folder, output):
            raise JobError(
                f"output: {job.output} is inside {where}: the next run would take results for sources; "
                "choose a place outside"
            )
        places = [output.child(name) for name in WRITTEN] if job.kind == "benchmark" else [output]
        if any(contains(place, folder) for place in places):
            raise JobError(
                f"output: {where}, is inside {job.output}: results would be written over originals; "
                "choose a place outside"
            )


def _shown(dataset: Dataset) -> str:
    return f'"{dataset.name}"' if dataset.private else dataset.uri
