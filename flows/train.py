"""Train a network, publish its weights, and hold them against the catalog.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.benchmark import benchmark
from flows.parameters import forget_secrets, refuse_secrets
from flows.retries import RETRIED
from flows.run_names import of_recipe
from flows.training_progress import line
from pipeline.jobs.job import Job, RestorerSpec
from pipeline.run import Options
from pipeline.training import run
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.training.loop import ProgressEvent, TrainingResult

SECONDS_BETWEEN_LINES = 30.0


@task(**RETRIED)
def fit(recipe: TrainingRecipe, output: str, options: TrainingOptions, profile: str | None) -> TrainingResult:
    """Trains from wherever the run was; a retry goes on from the newest checkpoint."""
    logger = get_run_logger()
    shown = float("-inf")

    def on_progress(event: ProgressEvent) -> None:
        nonlocal shown
        if event.message:
            logger.info("%s", event.message)
        elif event.share >= 1.0 or time.monotonic() - shown >= SECONDS_BETWEEN_LINES:
            shown = time.monotonic()
            logger.info("%s", line(event))

    return run.train(run.absolute(recipe), output, options, profile=profile, on_progress=on_progress)


@task(cache_policy=NO_CACHE)
def publish(finished: TrainingResult, registry: str, profile: str | None) -> str:
    """Copies the weights into the registry, then notes them in its index."""
    return run.publish(finished.weights, registry, profile)


@flow(name="train", on_failure=[forget_secrets], flow_run_name=of_recipe, log_prints=False)
def train(
    recipe: TrainingRecipe,
    output: str,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 - frozen, and shown in the UI
    registry: str | None = None,
    against: Job | None = None,
    run_options: Options = Options(),  # noqa: B008
    profile: str | None = None,
    shelf: str | None = None,
) -> State[Any] | str:
    """Trains; then publishes into the weights registry; then runs the benchmark ``against`` with the weights.

    Running it again goes on from the newest checkpoint. ``shelf`` is the former name of ``registry``.
    """
    refuse_secrets("recipe", recipe)
    finished = fit(recipe, output, options, profile)
    registry = registry or shelf
    weights = publish(finished, registry, profile) if registry is not None else finished.weights
    scores = "\n".join(f"| {name} | {score:.4f} |" for name, score in finished.scores.items())
    create_markdown_artifact(
        f"Weights: `{weights}`\n\nReport: `{output}/report.html`\n\n| score | |\n| --- | --- |\n{scores}",
        key=f"train-{_slug(recipe.name)}",
        description=f"{recipe.name}: {number_of(finished.steps, 'step')}, "
        f"{number_of(finished.skipped, 'image')} left out",
    )
    if against is None:
        return weights
    job = with_weights(against, recipe.name, weights)
    held: State[Any] = benchmark(job, run_options, return_state=True)
    return held


def with_weights(job: Job, name: str, weights: str) -> Job:
    """The job with one more restorer, or with these weights under a name that it has already."""
    others = tuple(each for each in job.restorers if each.name != name)
    added = (*others, RestorerSpec(name=name, weights=weights))
    return Job.parse(job.model_dump() | {"restorers": [each.model_dump() for each in added]}, where="against")


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
