"""The folder of one run: opened once, it hands on the job, the recipe, the ledger and where objects are.

One folder belongs to one recipe, so that results of two never mix.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from pipeline.doors import outlet_of
from pipeline.doors.outlet import Outlet, Results
from pipeline.errors import JobError, describe
from pipeline.jobs.job import Job
from pipeline.ledger.layout import Layout
from pipeline.ledger.lease import Lease
from pipeline.ledger.ledger import Ledger, prefix_of
from pipeline.ledger.output_errors import output_errors
from pipeline.ledger.overlap import refuse_overlap
from pipeline.ledger.schema import refuse_names
from pipeline.privacy.datasets import seal_job
from pipeline.recipe.differences import differences
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from pipeline.storage.keys import RUN_FOLDER

JOB = "job.json"
RECIPE = "recipe.json"


class RunFolder:
    """A run's ledger, plan, tables and report, and the job they belong to; cheap to pickle."""

    def __init__(self, job: Job, folder: Folder, recipe_id: str, specification: dict[str, Any]) -> None:
        self.job = job
        """With the addresses of private datasets sealed."""
        self.folder = folder
        self.recipe_id = recipe_id
        self.specification = specification
        self.lease: Lease | None = None
        """Held by the process that drives the run; workers have none."""
        self.outcome: object = None
        """Of the run before, where planning saw that nothing has changed since."""
        self.counting: object = None
        """Which rows count, as tables were made from them: verification after a run takes it from here."""

    @classmethod
    def of(cls, job: Job, folder: Folder) -> RunFolder:
        """The folder of a run that is under way, with the recipe built; checks and writes nothing."""
        recipe = Recipe.of(job)
        run = cls(job, folder, recipe.recipe_id, json.loads(json.dumps(recipe.specification, default=str)))
        run.recipe = recipe
        return run

    def at(self, output: str, profile: str | None) -> RunFolder:
        """The same run, its job pointed at where its output is stored now."""
        job = self.job.model_copy(update={"output": output, "output_profile": profile})
        return RunFolder(job, self.folder, self.recipe_id, self.specification)

    def __reduce__(self) -> tuple[type[RunFolder], tuple[Job, Folder, str, dict[str, Any]]]:
        # Without the recipe: it holds networks, which every process builds for itself.
        return type(self), (self.job, self.folder, self.recipe_id, self.specification)

    @cached_property
    def recipe(self) -> Recipe:
        """The job's parts, built when first asked for, and once."""
        return Recipe.of(self.job)

    @cached_property
    def ledger(self) -> Ledger:
        """The commit record."""
        return Ledger.of(self.job, self.folder, self.recipe_id)

    @cached_property
    def layout(self) -> Layout:
        """Where the objects are stored; one a process, for its outlet holds what waits for its unit."""
        return Layout.of(self.job, self.recipe_id)

    def outlet(self) -> Outlet:
        """What the objects of the run were written through, at the place where they are now."""
        return outlet_of(self.job, self.root)

    def results(self) -> Results:
        """The objects of the run, below ``root``, as they are now."""
        return self.outlet().results()

    @property
    def root(self) -> Folder:
        """The folder that object keys are below: found from this one, so that an output can be moved."""
        if self.job.kind == "benchmark":
            return self.folder
        return Folder(self.folder.url.removesuffix(f"/{RUN_FOLDER}"), self.folder.profile)


def folder_for(job: Job) -> Folder:
    """The folder of the ledger, plan, tables and report of a job."""
    folder = Folder(job.output, job.output_profile)
    return folder if job.kind == "benchmark" else folder.child(RUN_FOLDER)


def open_run(job: Job) -> RunFolder:
    """The folder of a job's run, begun if there is none; raises as ``check_run`` and ``begin_run``."""
    run = check_run(job)
    with output_errors(run.job, run.folder):
        begin_run(run)
    return run


def check_run(job: Job) -> RunFolder:
    """The folder of a job's run, everything checked and nothing written; ``JobError`` by path."""
    job = seal_job(job)
    refuse_names(job)
    refuse_overlap(job)
    return RunFolder.of(job, folder_for(job))


def open_existing(output: str, profile: str | None = None) -> RunFolder:
    """The folder of a finished or interrupted run. ``JobError`` where there is none."""
    for folder in (Folder(output, profile), Folder(output, profile).child(RUN_FOLDER)):
        if folder.exists(JOB):
            try:
                fields, record = json.loads(folder.read(JOB)), json.loads(folder.read(RECIPE))
                found = record["recipe_id"], record["recipe"]
            except (ValueError, KeyError, FileNotFoundError) as error:
                raise JobError(
                    f"{folder.url}: {JOB} or {RECIPE} is damaged ({describe(error)}); run the command that "
                    "made this output again, which writes both"
                ) from error
            return RunFolder(Job.parse(fields, where=folder.uri(JOB), written=True), folder, *found)
    raise JobError(f"{output}: holds no run of restora (no {JOB}); give the output of a job, or DEST")


def begin_run(run: RunFolder) -> None:
    """Writes job and recipe, where they are not there yet.

    Raises ``JobError``, with what differs, where the output was made by another recipe: results of two
    recipes never mix in one place.
    """
    folder, record = run.folder, {"recipe_id": run.recipe_id, "recipe": run.specification}
    before = _read_recipe(run)
    if before is not None and before["recipe_id"] != run.recipe_id:
        if Ledger.of(run.job, folder, before["recipe_id"]).keys():
            _refuse(run.job, before["recipe"], run.specification)
        before = None  # nothing was ever done by it
    if before is None:
        folder.put(RECIPE, json.dumps(record, indent=1).encode())
    described = json.dumps(run.job.shown(), indent=1).encode()
    if _read_if_there(folder, JOB) != described:
        folder.put(JOB, described)


def _read_recipe(run: RunFolder) -> dict[str, Any] | None:
    """The recipe that the folder belongs to; a damaged one counts as none, unless the ledger is another's."""
    data = _read_if_there(run.folder, RECIPE)
    if data is None:
        return None
    try:
        found: dict[str, Any] = json.loads(data)
        return found if "recipe_id" in found and "recipe" in found else None
    except ValueError:
        ours = prefix_of(run.recipe_id)
        if [key for key in run.folder.keys("ledger", ".parquet") if not key.startswith(ours)]:
            raise JobError(
                f"{run.folder.uri(RECIPE)}: is damaged, and the ledger is of another recipe than this job's; "
                "choose another output, or run the job that made this one"
            ) from None
        return None


def _read_if_there(folder: Folder, key: str) -> bytes | None:
    """In one request."""
    try:
        return folder.read(key)
    except FileNotFoundError:
        return None


def _refuse(job: Job, before: dict[str, Any], now: dict[str, Any]) -> None:
    lines = list(differences(before, now))
    shown = "\n".join(f"  {line}" for line in lines[:8])
    more = f"\n  and {len(lines) - 8} more" if len(lines) > 8 else ""
    raise JobError(
        f"output: {job.output} holds results of another recipe; it differs in\n{shown}{more}\n"
        "choose another output, or restore the job as it was, or delete the old results"
    )
