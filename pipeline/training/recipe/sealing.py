"""A recipe as it may be written down: addresses of private datasets sealed."""

from __future__ import annotations

from typing import TypeVar

from pipeline.privacy.datasets import seal_datasets, seal_references
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Data, Validation

Section = TypeVar("Section", Data, Validation)


def sealed(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe without what could name anyone, which the holder of the key trains by all the same.

    ``JobError`` where a dataset is private and there is no key.
    """
    return recipe.model_copy(
        update={
            "data": _sealed(recipe.data, "data"),
            "validation": _sealed(recipe.validation, "validation"),
        }
    )


def _sealed(section: Section, name: str) -> Section:
    if not any(each.private for each in section.datasets):
        return section
    datasets = seal_datasets(section.datasets, f"{name}.datasets")
    references = section.references and seal_references(section.references, f"{name}.references")
    return section.model_copy(update={"datasets": datasets, "references": references})
