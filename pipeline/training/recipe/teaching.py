"""The teacher of a recipe, fetched and checked: ``JobError`` with the cure before any training."""

from __future__ import annotations

from typing import Any

from torch import nn

from models.card import Card
from models.networks import NetworkModel
from models.restorer import Restorer
from models.weights import build_restorer, load_weights
from pipeline.errors import JobError, describe
from pipeline.recipe.weights import weights_file
from pipeline.training.recipe.sections import Teacher

_KNOWN = ("noise_level", "mask")
"""What samples know of their degradation."""


def teacher_of(spec: Teacher) -> Restorer:
    """The network with its card."""
    content = teacher_bytes(spec)
    try:
        return build_restorer(*load_weights(content))
    except ValueError as error:
        raise JobError(f"teacher.weights: {spec.weights}: {error}") from error


def teacher_bytes(spec: Teacher) -> bytes:
    """Its file."""
    try:
        return weights_file(spec.weights)
    except OSError as error:
        raise JobError(
            f"teacher.weights: {spec.weights}: {describe(error)}; give a shipped name or a file with a card"
        ) from error


def check_teacher(spec: Teacher, network: Any, scale: int) -> tuple[str, ...]:
    """What it needs to be told; ``JobError`` where it does something else than the network that is to learn
    from it."""
    restorer = teacher_of(spec)
    card: Card = restorer.card
    if card.scale != scale:
        raise JobError(
            f"teacher.weights: {card.name} enlarges by {card.scale}, the network by {scale}; give a teacher "
            "of the same scale"
        )
    if card.channels != network.channels:
        raise JobError(
            f"teacher.weights: {card.name} takes {card.channels} channels, the network {network.channels}"
        )
    if needs := [each for each in card.needs if each not in _KNOWN]:
        raise JobError(f"teacher.weights: {card.name} needs the {needs[0]} of the degradation; take another")
    if spec.feature_weight and min(map(_convolutions, (model_of(restorer), network))) < 3:
        raise JobError("teacher.feature_weight: features are those of convolutions; leave it out")
    return tuple(card.needs)


def model_of(restorer: Restorer) -> NetworkModel:
    """Its network behind the call of a model."""
    assert isinstance(restorer.model, NetworkModel)
    return restorer.model


def _convolutions(network: nn.Module) -> int:
    return sum(isinstance(each, nn.Conv2d) for each in network.modules())
