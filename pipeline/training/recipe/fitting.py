"""Whether the parts of a recipe fit each other: ``JobError`` by path, with the cure, before any training.

What a step would only find out when it draws that very degradation is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from models.losses import LOSSES
from pipeline.degradation.degradation import Degradation
from pipeline.errors import JobError, describe
from pipeline.jobs.operators import OperatorSpec
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.sections import Discriminator, Weighted

_NEEDS = {
    "noise_level": "the noise level, as operators that add Gaussian noise tell it",
    "mask": "a mask, as operators that hide pixels tell it",
    "guide": "a guide, as wald-x2 makes one",
    "frames": "other frames of the scene, as burst-noise makes them",
}
_OF_WHOLE_IMAGES = ("mask", "guide", "frames")
"""What neighbor2neighbor, which cuts an image into two, would have to cut too."""


def check_fitting(
    recipe: TrainingRecipe,
    network: Any,
    degradations: Sequence[Degradation],
    validation: Sequence[Degradation],
    teacher_needs: Sequence[str] = (),
) -> None:
    """Everything that a restorer's recipe says of parts which others rely on."""
    conditions = [each for each in getattr(network, "conditions", ()) if each in _NEEDS]
    masked = [f"losses[{index}]" for index, each in enumerate(recipe.losses) if _is_masked(each)]
    needs = [(f"network: {recipe.network.architecture}", each) for each in conditions]
    validated = list(needs)
    needs += [("teacher.weights: it", each) for each in teacher_needs]
    needs += [(f"{where}: it", "mask") for where in masked]
    hidden = {"mask"} if recipe.self_supervision == "noise2void" else set()
    _refuse_untold(recipe, "degradations", degradations, needs, hidden)
    _refuse_untold(recipe, "validation.degradations", validation, validated, set())
    for degradation in degradations:
        _check_crop(degradation, recipe.data.crop, network.channels)
    if recipe.self_supervision == "noise2void":
        _check_hidden(recipe)
    if recipe.self_supervision == "neighbor2neighbor":
        for who, need in needs:
            if need in _OF_WHOLE_IMAGES:
                raise JobError(f"self_supervision: neighbor2neighbor halves images, and {who} needs a {need}")
    if recipe.data.shuffle_channels and network.channels == 1:
        raise JobError("data.shuffle_channels: has no effect on one channel; leave it out")


def check_batch_norm(recipe: TrainingRecipe, networks: Sequence[nn.Module]) -> None:
    """``JobError`` where statistics are to be taken over all workers, and there are none."""
    if recipe.resources.sync_batch_norm and not any(
        isinstance(each, nn.modules.batchnorm._BatchNorm)
        for network in networks
        for each in network.modules()
    ):
        raise JobError("resources.sync_batch_norm: no network here has batch normalisation; leave it out")


def check_judge(spec: Discriminator, network: Any, channels: int, side: int) -> None:
    """``JobError`` where a discriminator, built on ``meta``, cannot judge images of this many channels and
    pixels a side."""
    if spec.feature_matching is not None and not hasattr(network, "features"):
        raise JobError(
            f"discriminator.feature_matching: {spec.architecture} does not show its features; take "
            'architecture = "patch" or "multi_scale", or leave it out'
        )
    try:
        network(torch.zeros(2, channels, side, side, device="meta"))
    except (ValueError, RuntimeError) as error:
        raise JobError(
            f"discriminator: {spec.architecture} cannot judge crops of {side} x {side} pixels "
            f"({describe(error)}); give it other arguments, or another data.crop"
        ) from None


def _refuse_untold(
    recipe: TrainingRecipe,
    field: str,
    degradations: Sequence[Degradation],
    needs: Sequence[tuple[str, str]],
    told_anyway: set[str],
) -> None:
    for who, need in needs:
        if recipe.is_paired and need not in told_anyway:
            raise JobError(
                f"{who} needs {_NEEDS[need]}; of images with references none is known; take another"
            )
        for index, each in enumerate(degradations):
            if need not in {*_told(each), *told_anyway}:
                raise JobError(
                    f'{who} needs {_NEEDS[need]}; {field}[{index}] "{each.name}" has none; take another'
                )


def _told(degradation: Degradation) -> set[str]:
    """What is known of an image that it degraded."""
    operators = degradation.drawn(0)
    found = {"noise_level"} if any(getattr(each, "noise_level", 0.0) for each in operators) else set()
    for name, attribute in (("mask", "mask"), ("guide", "guide"), ("frames", "others")):
        if any(hasattr(each, attribute) for each in operators):
            found.add(name)
    return found


def _check_crop(degradation: Degradation, crop: int, channels: int) -> None:
    """At both ends of its ranges: one that a crop is too small for would end a run at some step."""
    for each in _ends(degradation):
        try:
            each(torch.full((1, channels, crop, crop), 0.5), 0)
        except ValueError as error:
            raise JobError(
                f'data.crop: "{degradation.name}" cannot degrade crops of {crop} x {crop} pixels: {error}; '
                "take larger ones, or another degradation"
            ) from None


def _ends(degradation: Degradation) -> Iterator[Degradation]:
    for end in (0, 1):
        operators = tuple(
            OperatorSpec(op=each.op, **{name: _at(value, end) for name, value in each.parameters.items()})
            for each in degradation.operators
        )
        yield Degradation(degradation.name, operators)


def _at(value: Any, end: int) -> Any:
    is_range = isinstance(value, list | tuple) and len(value) == 2
    return value[end] if is_range else value


def _is_masked(loss: Weighted) -> bool:
    return loss.name in LOSSES and bool(getattr(LOSSES.named(loss.name), "needs_mask", False))


def _check_hidden(recipe: TrainingRecipe) -> None:
    """Pixels that the network sees teach it to give them back."""
    for index, each in enumerate(recipe.losses):
        if not _is_masked(each) or each.arguments.get("known", 1.0):
            raise JobError(
                f'losses[{index}]: "{each.name}" counts pixels that the network sees, and noise2void would '
                'learn to give the noise back; take { name = "masked_mse", known = 0 }'
            )
