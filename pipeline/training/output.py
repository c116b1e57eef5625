"""The place of a training: none of its images come from there, and one training at a time works in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import JobError, RunStopped, StorageError, describe
from pipeline.ledger.lease import Lease, take
from pipeline.privacy.datasets import folder_of
from pipeline.privacy.key import unseal
from pipeline.storage.folder import Folder
from pipeline.storage.patterns import matcher
from pipeline.storage.places import contains
from pipeline.storage.scratch import clear_parts
from pipeline.training.recipe.recipe import TrainingRecipe

WRITTEN = "out/samples/step-000000010.png"
"""The key of a sheet in a folder above: what a dataset's pattern takes it may take for an image."""


def refuse_own_results(recipe: TrainingRecipe, output: Folder) -> None:
    """``JobError`` where the sheets of samples in ``output`` would be images of the training, or of its
    validation: from the second session on the data were others, and the run could not go on."""
    for section, datasets in (("data", recipe.data.datasets), ("validation", recipe.validation.datasets)):
        for index, dataset in enumerate(datasets):
            takes = matcher(unseal([dataset.pattern])[0])
            if contains(folder_of(dataset), output) and takes(WRITTEN):
                shown = f'"{dataset.name}"' if dataset.private else dataset.uri
                raise JobError(
                    f"OUT: {output.url} is inside {section}.datasets[{index}], {shown}: going on would take "
                    "its samples for images; choose a place outside"
                )


@contextmanager
def held_output(output: Folder) -> Iterator[Lease]:
    """The lease on ``output``, for as long as the block lasts; what a killed training had half written goes.

    ``RunStopped`` where another training works there, ``StorageError`` where nothing can be written.
    """
    folder = output.child("checkpoints")
    try:
        lease = take(folder)
    except RunStopped:
        raise
    except Exception as error:  # each store fails in its own way
        raise unwritable(folder, error) from error
    try:
        if output.is_local:
            clear_parts(output.root)
        yield lease
    finally:
        lease.release()


def unwritable(folder: Folder, error: Exception) -> StorageError:
    """What is said of a place that takes no files."""
    return StorageError(
        f"{folder.url}: checkpoints cannot be written there ({describe(error)}); choose another OUT or grant "
        "the rights"
    )
