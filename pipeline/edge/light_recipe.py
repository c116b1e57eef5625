"""The recipe by which a smaller network learns: that of the given one's card, taught by the given one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.card import Card
from models.edge.pruning import narrower
from models.names import unknown
from models.networks import NETWORKS
from pipeline.edge.compressed import Asked, usual_degradation
from pipeline.errors import JobError
from pipeline.storage.folder import absolute_url
from pipeline.training.recipe.overrides import overridden
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.recipe.renamed import with_current_names

MINUTES = 20.0
"""Of a training, where nothing else is said."""
_TAKEN = ("degradations", "losses", "optimizer", "batch", "ema_decay", "self_supervision", "precision")
_TAKEN_OF_DATA = ("crop", "crop_candidates", "flip", "rotate", "shuffle_channels")
_USUAL: dict[str, Any] = {
    "losses": [{"name": "l1"}],
    "batch": 8,
    "ema_decay": 0.99,
    "optimizer": {
        "name": "muon",
        "learning_rate": 5e-3,
        "schedule": {"name": "cosine", "warm_up": 0.05},
        "clip_gradient": 0.5,
    },
}
"""Of networks whose card has no recipe: they were not trained here."""
CROP = 64
"""Of those, in pixels of what is read; times the scale."""


def light_recipe(
    card: Card, asked: Asked, name: str, network: Mapping[str, Any], teacher: Path | None
) -> TrainingRecipe:
    """Losses, degradations, crops and optimizer as on the card, without its adversary; then the sets."""
    how = asked.retraining
    learnt = with_current_names(card.training.get("recipe") or {})
    fields = _USUAL | {each: learnt[each] for each in _TAKEN if learnt.get(each) is not None}
    if "degradations" not in fields:
        fields["degradations"] = [asked.images.degradation or usual_degradation(card)]
    data: dict[str, Any] = {"crop": CROP * (card.scale or 1)}
    data |= {each: learnt["data"][each] for each in _TAKEN_OF_DATA if each in learnt.get("data", {})}
    data["datasets"] = [{"name": "images", "uri": absolute_url(asked.images.uri)}]
    length = {"steps": how.steps} if how.steps else {"minutes": how.minutes or MINUTES}
    fields |= {
        "name": name,
        "summary": f"{card.summary} With fewer weights.",
        "task": card.task,
        "source": card.source,
        "licence": card.licence,
        "seed": 2026,
        "export": "float16",
        "length": length,
        "data": data,
        "network": {"value_range": card.value_range, **network},
        "teacher": {"weights": str(teacher)} if teacher is not None else None,
    }
    return TrainingRecipe.parse(overridden(fields, how.sets), where=f"the recipe of {name}")


def student_network(card: Card, asked: Asked) -> dict[str, Any]:
    """Architecture and arguments: what ``asked.sets`` say, else the card's with fewer channels."""
    given = overridden({}, [each for each in asked.retraining.sets if each.strip().startswith("network")])
    said = given.get("network", {})
    name = said.get("architecture", card.architecture)
    if name == card.architecture:
        arguments = card.arguments
        if "features" not in said.get("arguments", {}):
            arguments = narrower(card, asked.retraining.keep)
        return {"architecture": name, "arguments": dict(arguments)}
    if name not in NETWORKS:
        raise JobError(f"--set network.architecture={name}: {unknown('network', name, NETWORKS)}")
    takes = inspect.signature(NETWORKS.named(name)).parameters
    facts = {"channels": card.channels, "scale": card.scale}
    return {"architecture": name, "arguments": {key: facts[key] for key in facts if key in takes}}
