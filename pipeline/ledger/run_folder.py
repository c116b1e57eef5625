"""The books of one output: which job and recipe it belongs to, so that two never mix."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipeline.errors import JobError, RestoraError, StorageError, describe
from pipeline.jobs.job import Job
from pipeline.ledger.ledger import Ledger
from pipeline.privacy.datasets import folder_of, sealed
from pipeline.recipe.recipe import Recipe, differences
from pipeline.storage.folder import Folder
from pipeline.storage.keys import BOOKS

JOB = "job.json"
RECIPE = "recipe.json"


@dataclass(frozen=True)
class Books:
    """A run's ledger, plan, tables and report, and the job they belong to."""

    job: Job
    folder: Folder
    recipe_id: str
    specification: dict[str, Any]

    @property
    def root(self) -> Folder:
        """Where the objects lie: found from the books, so that an output can be moved as a whole."""
        if self.job.kind == "benchmark":
            return self.folder
        return Folder(self.folder.url.removesuffix(f"/{BOOKS}"), self.folder.profile)

    @property
    def ledger(self) -> Ledger:
        """The commit record."""
        return Ledger.of(self.job, self.folder, self.recipe_id)


def open_for(job: Job) -> Books:
    """The books of a job's output, begun if there are none.

    Raises ``JobError``, with what differs, where the output was made by another recipe: results of two
    recipes never mix in one place.
    """
    job = sealed(job)
    refuse_overlap(job)
    recipe = Recipe.of(job)
    specification = json.loads(json.dumps(recipe.specification, default=str))
    books = Books(job, books_of(job), recipe.recipe_id, specification)
    try:
        _begin(books)
    except RestoraError:
        raise
    except Exception as error:  # botocore and friends do not derive from OSError
        raise StorageError(
            f"output: cannot use {job.output}: {describe(error)}; {_cure(error, books)}"
        ) from error
    return books


def _cure(error: Exception, books: Books) -> str:
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a file stands there; give a folder"
    if books.folder.is_local:
        return "give a folder that can be written"
    return "check the address, and the credentials in the environment or the profile"


def _begin(books: Books) -> None:
    folder, record = books.folder, {"recipe_id": books.recipe_id, "recipe": books.specification}
    before = json.loads(folder.read(RECIPE)) if folder.exists(RECIPE) else None
    if before is not None and before["recipe_id"] != books.recipe_id:
        if Ledger(folder, before["recipe_id"], ()).keys():
            _refuse(books.job, before["recipe"], books.specification)
        before = None  # nothing was ever done by it
    if before is None:
        folder.put(RECIPE, json.dumps(record, indent=1).encode())
    described = json.dumps(books.job.model_dump(mode="json"), indent=1).encode()
    if not folder.exists(JOB) or folder.read(JOB) != described:
        folder.put(JOB, described)


def open_existing(output: str, profile: str | None = None) -> Books:
    """The books of a finished or interrupted run. ``JobError`` where there are none."""
    for folder in (Folder(output, profile), Folder(output, profile).child(BOOKS)):
        if folder.exists(JOB):
            job = Job.parse(json.loads(folder.read(JOB)), where=folder.uri(JOB))
            record = json.loads(folder.read(RECIPE))
            return Books(job, folder, record["recipe_id"], record["recipe"])
    raise JobError(f"{output}: no run of restora lies there (no {JOB}); give the output of a job, or DEST")


def _refuse(job: Job, before: dict[str, Any], now: dict[str, Any]) -> None:
    lines = list(differences(before, now))
    shown = "\n".join(f"  {line}" for line in lines[:8])
    more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
    raise JobError(
        f"output: {job.output} holds results of another recipe; it differs in\n{shown}{more}\n"
        "choose another output, or restore the job as it was, or delete the old results"
    )


def books_of(job: Job) -> Folder:
    """The folder of the ledger, plan, tables and report."""
    folder = Folder(job.output, job.output_profile)
    return folder if job.kind == "benchmark" else folder.child(BOOKS)


def refuse_overlap(job: Job) -> None:
    """``JobError`` where the output lies among the sources: the next run would take results for sources."""
    output = Folder(job.output, job.output_profile).url
    for index, dataset in enumerate(job.datasets):
        if f"{output}/".startswith(f"{folder_of(dataset).url}/"):
            place = f'"{dataset.name}"' if dataset.private else dataset.uri
            raise JobError(
                f"output: {job.output} lies inside datasets[{index}], {place}: "
                "the next run would take results for sources; choose a place outside"
            )
