"""Settings that would change nothing: a recipe that gives one is refused: its author believes otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

_GENERATION = "has no effect on a generator of images"
_RESTORATION = "has no effect on a restorer"

_OF_RESTORERS = (
    "teacher",
    "self_supervision",
    "discriminator.weight",
    "discriminator.feature_matching",
    "discriminator.conditional",
    "discriminator.value_range",
    "discriminator.start_step",
    "data.cut_blur",
    "validation.datasets",
    "validation.degradations",
    "validation.metrics",
    "validation.images",
    "validation.side",
    "validation.samples",
)
_OF_GENERATORS = ("latents", "growth", "validation.generated", "data.downsample")
_OF_VALIDATION = (
    "validation.degradations",
    "validation.metrics",
    "validation.images",
    "validation.side",
    "validation.samples",
    "validation.patience",
)
_OPTIMIZERS = ("optimizer", "discriminator.optimizer")


def without_effect(recipe: BaseModel) -> Iterator[str]:
    """``path: why`` of each field of a training recipe that was given another value than its default, for
    nothing. By names, for the recipe checks itself by this."""
    if _at(recipe, "kind") == "generation":
        yield from _given(recipe, _OF_RESTORERS, _GENERATION)
        if _at(recipe, "network.architecture") != "progressive":
            yield from _given(recipe, ("growth",), 'is for the generator "progressive" alone')
    else:
        yield from _given(recipe, _OF_GENERATORS, _RESTORATION)
        if not _at(recipe, "validation.datasets"):
            yield from _given(recipe, _OF_VALIDATION, "has no effect without validation.datasets")
        if _at(recipe, "self_supervision") != "none":
            yield from _given(recipe, ("data.cut_blur",), "is for true images, which self_supervision lacks")
    yield from _of_optimizers(recipe)
    if not _at(recipe, "resources.gpus_per_worker"):
        yield from _given(recipe, ("resources.sync_batch_norm",), "is for workers with GPUs")
    if _at(recipe, "resources.compile") and _at(recipe, "teacher.feature_weight"):
        yield "teacher.feature_weight: has no effect with resources.compile; leave out one of them"
    if any(_at(recipe, f"resources.{each}") for each in ("compile", "recompute")):
        yield from _given(recipe, ("resources.cuda_graphs",), "has no effect with compile or recompute")
    if not _at(recipe, "has_private_data"):
        of_private = ("validation.show_private", "tracks_private")
        yield from _given(recipe, of_private, "has no effect without a private dataset")
    if not _at(recipe, "trackers"):
        yield from _given(recipe, ("tracks_private",), "has no effect without trackers")
    yield from _of_late_discriminator(recipe)
    for place in ("validation", "checkpoints"):
        if _at(recipe, f"{place}.every_steps") is not None:
            why = f"has no effect beside {place}.every_steps"
            yield from _given(recipe, (f"{place}.every_minutes",), why)


def _of_late_discriminator(recipe: BaseModel) -> Iterator[str]:
    steps, start = _at(recipe, "length.steps"), _at(recipe, "discriminator.start_step")
    if steps is not None and start is not None and start >= steps:
        yield (
            f"discriminator.start_step: it would never come in, as the run ends at {steps}, got {start}; "
            "give less, or leave out the discriminator"
        )


def _of_optimizers(recipe: BaseModel) -> Iterator[str]:
    for place in _OPTIMIZERS:
        name = _at(recipe, f"{place}.name")
        if name not in ("adam", "adamw"):
            yield from _given(recipe, (f"{place}.betas",), f"is for adam and adamw, not for {name}")
        if name != "sgd":
            yield from _given(recipe, (f"{place}.momentum",), "is for sgd alone")
        if name not in ("adamw", "sgd"):
            yield from _given(recipe, (f"{place}.weight_decay",), "is for adamw and sgd")


def _given(recipe: BaseModel, paths: tuple[str, ...], why: str) -> Iterator[str]:
    for path in paths:
        if _differs_from_default(recipe, path):
            yield f"{path}: {why}; leave it out"


def _differs_from_default(recipe: BaseModel, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    section = _at(recipe, parent) if parent else recipe
    if not isinstance(section, BaseModel):
        return False
    default: Callable[[], Any] = type(section).model_fields[name].get_default
    return bool(getattr(section, name) != default())


def _at(recipe: BaseModel, path: str) -> Any:
    value: Any = recipe
    for name in path.split("."):
        value = getattr(value, name, None)
    return value
