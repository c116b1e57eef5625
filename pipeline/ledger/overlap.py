"""An output and its sources are two places: no original is written over, no result taken for a source."""

from __future__ import annotations

from pipeline.errors import JobError
from pipeline.formats import FORMATS
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.job import Job
from pipeline.privacy.datasets import conditions_of, folder_of, references_of
from pipeline.privacy.key import unseal
from pipeline.storage.folder import Folder
from pipeline.storage.keys import with_extension
from pipeline.storage.patterns import only_key
from pipeline.storage.places import contains

WRITTEN = ("objects", "ledger", "plan", "tables", "report", "attempts", "scenes", "lease")
"""What a benchmark writes below its output; images may be beside it, as the demo's are."""


def refuse_overlap(job: Job) -> None:
    """``JobError`` where a dataset and the output are inside one another, as places and not as texts.

    A dataset of one named file may have its output beside it, but not in its own place.
    """
    output = Folder(job.output, job.output_profile)
    for index, dataset in enumerate(job.datasets):
        folder, key = folder_of(dataset), only_key(unseal([dataset.pattern])[0])
        where = f"datasets[{index}], {_shown(dataset)}"
        references = references_of(dataset)
        if references is not None:
            _refuse_inside(job, output, references, f"datasets[{index}].references")
        for name, (_, beside) in conditions_of(dataset).items():
            _refuse_inside(job, output, beside, f"datasets[{index}], its {name}s")
        if key is not None and job.kind != "benchmark":
            _refuse_same_file(job, output, folder, key, where)
            continue
        if contains(folder, output) and key is None:
            raise JobError(
                f"output: {job.output} is inside {where}: the next run would take results for sources; "
                "choose a place outside"
            )
        _refuse_inside(job, output, folder, where)


def _refuse_inside(job: Job, output: Folder, folder: Folder, where: str) -> None:
    places = [output.child(name) for name in WRITTEN] if job.kind == "benchmark" else [output]
    if any(contains(place, folder) for place in places):
        raise JobError(
            f"output: {where}, is inside {job.output}: results would be written over originals; "
            "choose a place outside"
        )


def _refuse_same_file(job: Job, output: Folder, folder: Folder, key: str, where: str) -> None:
    name = job.stored_format
    stored = with_extension(key, FORMATS[name].extensions) if name and name in FORMATS else key
    above = key.rpartition("/")[0]
    target, original = (each.child(above) if above else each for each in (output, folder))
    if stored == key and contains(target, original) and contains(original, target):
        raise JobError(
            f"output: {job.output} is where {where} has its file {key}: the result would be written over the "
            "original; choose another place"
        )


def _shown(dataset: Dataset) -> str:
    return f'"{dataset.name}"' if dataset.private else dataset.uri
