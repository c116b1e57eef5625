"""What a restorer is told of the images of a batch, and what the rows say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from models.contract import Condition
from pipeline.errors import ImageError
from pipeline.processing.cases import Case
from pipeline.recipe.recipe import BuiltRestorer


def refuse_other_scale(case: Case, built: BuiltRestorer, scale: int) -> None:
    """``ImageError`` where a restorer's output has another size than the reference of a pair."""
    its = built.restorer.card.scale
    if case.found is not None and its is not None and its != scale:
        raise ImageError(
            "REFERENCE_SIZE",
            f"the restorer enlarges by {its}, and the reference is {scale} times as large as the image",
        )


def shared_condition(cases: Sequence[Case], built: BuiltRestorer) -> Condition | None:
    """One condition for the whole batch, or ``None`` where the images must go one by one."""
    conditions = [case.degraded.condition for case in cases]
    first = conditions[0]
    if len(cases) > 1 and any(each.operators != first.operators for each in conditions):
        if built.restorer.card.inverts_operators:
            return None
        first = replace(first, operators=())
    given = built.spec.noise_level
    levels = [each.noise_level_B for each in conditions]
    if given is not None:
        first = replace(first, noise_level_B=torch.full((len(cases),), given / 255))
    elif built.spec.estimate_noise:
        first = replace(first, noise_level_B=None)
    elif all(level is not None for level in levels):
        first = replace(first, noise_level_B=torch.cat([level for level in levels if level is not None]))
    masks = [each.mask_B1HW for each in conditions]
    stacks = [each.frames_BTCHW for each in conditions]
    if all(stack is not None for stack in stacks):
        first = replace(first, frames_BTCHW=torch.cat([stack for stack in stacks if stack is not None]))
    guides = [each.guide_BPHW for each in conditions]
    if all(guide is not None for guide in guides):
        first = replace(first, guide_BPHW=torch.cat([guide for guide in guides if guide is not None]))
    if all(mask is not None for mask in masks):
        first = replace(first, mask_B1HW=torch.cat([mask for mask in masks if mask is not None]))
    return first


def described(condition: Condition) -> dict[str, Any]:
    """What the restorer was given, in the row: a score with a known noise level is not a blind one."""
    known: dict[str, Any] = {"scale": condition.scale} if condition.scale != 1 else {}
    if condition.noise_level_B is not None:
        known["noise_level"] = "given"
    if condition.mask_B1HW is not None:
        known["mask"] = "given"
    if condition.frames_BTCHW is not None:
        known["frames"] = 1 + condition.frames_BTCHW.shape[1]
        if condition.place:
            known["place"] = condition.place
    if condition.guide_BPHW is not None:
        known["guide"] = condition.guide_BPHW.shape[1]
    if condition.operators:
        known["operators"] = [operator.name for operator in condition.operators]
    return known
