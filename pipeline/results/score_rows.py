"""Rows of images that were restored elsewhere, as the tables show them: every folder of them a restorer.

In the ledger such a folder is a dataset. In the tables the job's name is the dataset, the folder's the
restorer, and an image has the key of its reference, so that folders compare image by image.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.jobs.job import Job

ALONE = " (no reference)"
"""Ends the key of an image that has no reference: no two images of a folder have one key."""


def as_restorers(table: pa.Table, job: Job) -> pa.Table:
    """The rows of a job that only scores, renamed; those of any other job as they are."""
    if not job.scores_only:
        return table
    renamed = {
        "restorer": table["dataset"],
        "dataset": pa.array([job.name] * len(table), pa.string()),
        "key": pc.coalesce(table["reference_key"], pc.binary_join_element_wise(table["key"], ALONE, "")),
    }
    for name, values in renamed.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), values)
    return table
