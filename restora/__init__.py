"""Restora from Python: jobs, runs and their tables, and single images in memory. See docs/python.md.

A thin face over ``models``, ``pipeline`` and ``flows``, which do the work.
"""

import restora.shadowed  # noqa: F401 - before what may be hidden

# isort: split
from pipeline.errors import JobError, RestoraError, RunStopped, StorageError
from pipeline.jobs.job import Job
from pipeline.run import Progress
from restora.arrays import restore_array
from restora.results import Result, open_result
from restora.runs import job, run, score

__all__ = [
    "Job",
    "JobError",
    "Progress",
    "RestoraError",
    "Result",
    "RunStopped",
    "StorageError",
    "job",
    "open_result",
    "restore_array",
    "run",
    "score",
]
