"""A training from outside: the same call for the command line and the flows, whatever engine.

Imports inside functions keep torch, Ray and tables out of the start-up of every command.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.errors import JobError
from pipeline.jobs.datasets import Dataset, References
from pipeline.storage.folder import Folder, absolute_url
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Teacher

if TYPE_CHECKING:
    from pipeline.training.loop import ProgressCallback, TrainingResult


def train(
    recipe: TrainingRecipe,
    output: str,
    options: TrainingOptions,
    *,
    profile: str | None = None,
    on_progress: ProgressCallback = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> TrainingResult:
    """Trains until the recipe's length is done, going on from the newest checkpoint below ``output``.

    ``stopping`` is asked now and then; where it says so, the run writes a checkpoint and raises
    ``RunStopped``, as it does at once where another training works in ``output``. Addresses of private
    datasets go no further than here. Raises ``JobError`` for what cannot be trained as it stands.
    """
    from pipeline.training.output import held_output, refuse_own_results
    from pipeline.training.recipe.sealing import sealed

    recipe, folder = sealed(recipe), Folder(output, profile)
    if options.engine == "local" and recipe.workers[0] > 1:
        raise JobError(
            f"resources.workers: {recipe.workers[0]} at least, but the local engine has one; "
            "use --engine ray, or --set resources.workers=1"
        )
    options.check()
    refuse_own_results(recipe, folder)
    with held_output(folder) as lease:

        def must_stop() -> bool:
            lease.check()
            return stopping()

        return _engine(options)(recipe, folder, options, on_progress, must_stop)


def _engine(options: TrainingOptions) -> Callable[..., TrainingResult]:
    if options.engine == "ray":
        from pipeline.training.engines.ray_train import train_on_ray

        return train_on_ray
    from pipeline.training.engines.local import train_here

    return train_here


def publish(weights: str, registry: str, profile: str | None = None) -> str:
    """Copies a file of weights into the registry, a folder with an ``index.json``; returns its address."""
    from pipeline.training.export import publish as publish_to

    place, _, key = weights.rpartition("/")
    return publish_to(Folder(place or "."), key, Folder(registry, profile))


def absolute(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe with local paths made absolute, so that workers elsewhere on this machine find them."""
    data, validation, network = recipe.data, recipe.validation, recipe.network
    if network.start is not None:
        network = network.model_copy(update={"start": _placed_weights(network.start)})
    attribution = absolute_url(data.attribution) if data.attribution is not None else None
    return recipe.model_copy(
        update={
            "data": data.model_copy(
                update={
                    "datasets": tuple(map(_placed, data.datasets)),
                    "references": _placed_references(data.references),
                    "attribution": attribution,
                }
            ),
            "validation": validation.model_copy(
                update={
                    "datasets": tuple(map(_placed, validation.datasets)),
                    "references": _placed_references(validation.references),
                }
            ),
            "network": network,
            "teacher": _placed_teacher(recipe.teacher),
        }
    )


def _placed(dataset: Dataset) -> Dataset:
    references = _placed_references(dataset.references)
    return dataset.model_copy(update={"uri": absolute_url(dataset.uri), "references": references})


def _placed_teacher(teacher: Teacher | None) -> Teacher | None:
    return teacher and teacher.model_copy(update={"weights": _placed_weights(teacher.weights)})


def _placed_weights(weights: str) -> str:
    """A name of shipped weights is no address."""
    from models.weights import SHIPPED

    return weights if weights in SHIPPED else absolute_url(weights)


def _placed_references(references: References | None) -> References | None:
    return references and references.model_copy(update={"uri": absolute_url(references.uri)})
