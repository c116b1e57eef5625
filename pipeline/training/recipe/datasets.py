"""The collections of a recipe: those of a job, but for what says nothing to a training."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from pipeline.jobs.datasets import Dataset, Frozen, References, placed

_WITHOUT_EFFECT = {"carry": (), "mask": None, "operators": None, "guide": None}
"""Fields of a dataset that say something to a job alone, by their defaults."""


def _of_training(dataset: Dataset) -> Dataset:
    for name, default in _WITHOUT_EFFECT.items():
        if getattr(dataset, name) != default:
            raise ValueError(f"{name}: has no effect on a training; leave it out")
    if dataset.group is not None:
        raise ValueError(
            "group: a training takes every image for itself; leave it out. Frames of a scene come from a "
            'degradation that makes them; store = "pages" takes each page of a file'
        )
    _whole(dataset.references, "references.")
    if dataset.series == "together":
        raise ValueError('series: a training takes every image for itself; leave it out, or write "single"')
    return dataset


def _whole(references: References | None, where: str = "") -> References | None:
    """References that count everywhere."""
    if references is not None and references.clear is not None:
        raise ValueError(
            f"{where}clear: a training learns from all pixels of a reference, clouds and gaps as well; "
            "leave out the images that have any, and clear"
        )
    return references


TrainingDataset = Annotated[Dataset, AfterValidator(_of_training)]
"""A collection as in a job. Of a private one, nothing but the weights is written (docs/training.md)."""


class Referenced(Frozen):
    """A section of datasets, which may be pairs."""

    datasets: tuple[TrainingDataset, ...] = ()
    """Collections, as in a job."""
    references: (
        Annotated[
            References,
            BeforeValidator(placed, json_schema_input_type=str | References),
            AfterValidator(_whole),
        ]
        | None
    ) = None
    """The true images of datasets that do not name their own: then nothing is degraded, and crops of both are
    of the same place. See docs/pairs.md."""

    @property
    def collections(self) -> tuple[Dataset, ...]:
        """The datasets, each with its references."""
        if self.references is None:
            return self.datasets
        shared = {"references": self.references}
        return tuple(each if each.references else each.model_copy(update=shared) for each in self.datasets)

    @property
    def names_references(self) -> bool:
        """Whether any dataset has references of its own."""
        return any(each.references is not None for each in self.collections)
