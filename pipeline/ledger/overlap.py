"""An output among its sources is refused: the next run would take results for sources."""

from __future__ import annotations

from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.privacy.datasets import folder_of
from pipeline.storage.folder import Folder


def refuse_overlap(job: Job) -> None:
    """``JobError`` where the output is inside the folder of a dataset."""
    output = Folder(job.output, job.output_profile).url
    for index, dataset in enumerate(job.datasets):
        if f"{output}/".startswith(f"{folder_of(dataset).url}/"):
            place = f'"{dataset.name}"' if dataset.private else dataset.uri
            raise JobError(
                f"output: {job.output} is inside datasets[{index}], {place}: "
                "the next run would take results for sources; choose a place outside"
            )
