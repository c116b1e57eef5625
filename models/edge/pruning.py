"""A network with fewer channels: the least important ones are cut out of every layer.

Structured pruning (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017), the channels of a layer
ranked by the loss that they carry (Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR
2019, first order) or by their weights. Every layer keeps the same share, so that what is left is the same
architecture with smaller ``features``: any engine runs it as it runs the large one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from models.card import Card
from models.edge.channels import groups_of
from models.networks import NETWORKS, build_network


def narrower(card: Card, keep: float) -> dict[str, Any]:
    """The card's arguments with ``keep`` (0 to 1) of its ``features``; ``ValueError`` where it has none."""
    name = card.architecture
    parameters = inspect.signature(NETWORKS.named(name)).parameters
    default = parameters["features"].default if "features" in parameters else None
    features = card.arguments.get("features", default)
    if not isinstance(features, int) or features < 2:
        raise ValueError(
            f'"{name}" has no width that could be made smaller ("features" of 2 or more); say what is to '
            "learn from it: --method distil --set network.architecture=NAME"
        )
    arguments = card.arguments | {"features": max(1, round(features * keep))}
    try:
        with torch.device("meta"):
            build_network(name, arguments)
    except (ValueError, IndexError) as error:
        raise ValueError(f"with {arguments['features']} features there is no {name}: {error}") from error
    return arguments


def pruned(
    card: Card, state: Mapping[str, Tensor], arguments: Mapping[str, Any], importance: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights of the narrower network that ``arguments`` describe, out of those of the card's.

    ``importance`` has a value for each weight. ``ValueError`` where the channels are not known.
    """
    with torch.device("meta"):
        wanted = build_network(card.architecture, dict(arguments)).state_dict()
    light, values = dict(state), dict(importance)
    for group in groups_of(card.architecture, state, card.arguments):
        first = group.members[0]
        count = wanted[first.name].shape[first.axis] // (first.copies * first.block)
        most = group.summed(values).argsort(descending=True, stable=True)[:count]
        kept = most.sort().values
        light, values = group.taken(light, kept), group.taken(values, kept)
    return {name: tensor.contiguous() for name, tensor in light.items()}


def by_size(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The importance of each weight by its magnitude."""
    return {name: tensor.abs() for name, tensor in state.items()}
