"""The methods prune and distil: a network with fewer weights learns from the one it replaces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.card import Card
from models.edge.channels import groups_of
from models.edge.pruning import by_size, narrower, pruned
from models.names import unknown
from models.networks import NETWORKS, NetworkModel, build_network, card_facts
from models.restorer import Restorer
from models.weights import build_restorer, load_weights, save_weights
from pipeline.edge.compressed import Asked, Compressed, named_by_option, usual_degradation
from pipeline.edge.first_order import by_loss
from pipeline.edge.light_recipe import light_recipe, student_network
from pipeline.edge.measures import measured_speedup, scorer_of
from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.training.engines.local import train_here
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.recipe import TrainingRecipe

_IMAGES = "data.datasets"
"""The field by which a training names images that it cannot use."""

IMPORTANCES: dict[str, Callable[[Restorer, TrainingRecipe], Mapping[str, Tensor]]] = {
    "taylor": by_loss,
    "l1": lambda given, _: by_size(network_of(given).state_dict()),
}
"""How channels are ranked: by what the loss owes them on the images, or by the size of their weights."""


def prune(given: Restorer, asked: Asked) -> Compressed:
    """The least important channels of every layer cut out; what is left is trained on, with ``given`` as
    teacher. ``ValueError`` for an architecture whose channels are not known."""
    card, how = given.card, asked.retraining
    if how.importance not in IMPORTANCES:
        raise JobError(f"--importance: {unknown('importance', how.importance, IMPORTANCES)}")
    state = network_of(given).state_dict()
    groups_of(card.architecture, state, card.arguments)
    arguments = narrower(card, how.keep)
    folder, name = _folder(asked), f"{card.name}-pruned"
    whole = {"architecture": card.architecture, "arguments": card.arguments}
    with named_by_option(_IMAGES, "--data"):
        importance = IMPORTANCES[how.importance](given, light_recipe(card, asked, name, whole, None))
    start = folder / "start.safetensors"
    light = pruned(card, state, arguments, importance)
    save_weights(start, dataclasses.replace(card, arguments=arguments), light)
    network = whole | {"arguments": arguments, "start": str(start)}
    recipe = light_recipe(card, asked, name, network, _teacher(given, folder))
    return _taught(given, recipe, asked, "prune", folder)


def distil(given: Restorer, asked: Asked) -> Compressed:
    """A smaller network, from random weights, with ``given`` as teacher."""
    network_of(given)
    network, name = student_network(given.card, asked), f"{given.card.name}-student"
    _check_student(given.card, light_recipe(given.card, asked, name, network, None))
    folder = _folder(asked)
    recipe = light_recipe(given.card, asked, name, network, _teacher(given, folder))
    return _taught(given, recipe, asked, "distil", folder)


def _check_student(card: Card, recipe: TrainingRecipe) -> None:
    """``JobError`` where it enlarges otherwise than its teacher, or takes other channels."""
    architecture = recipe.network.architecture
    try:
        facts = card_facts(build_network(architecture, recipe.network.arguments))
    except (TypeError, ValueError):
        return  # the training says what is wrong with its arguments
    for name, own in (("scale", card.scale), ("channels", card.channels)):
        if None not in (own, facts[name]) and own != facts[name]:
            raise JobError(
                f"--set network: {architecture} has {name} {facts[name]}, {card.name}, which teaches it, "
                f"{own}; give network.arguments.{name}={own}, or an architecture that takes it"
            )


def learn_rounding(given: Restorer, asked: Asked) -> Restorer:
    """The network trained on with convolutions that round as int8 will, with ``given`` as teacher."""
    network_of(given)
    card, folder = given.card, _folder(asked)
    teacher = _teacher(given, folder)
    network = {"architecture": card.architecture, "arguments": card.arguments}
    network |= {"start": str(teacher), "rounding": "int8"}
    recipe = light_recipe(card, asked, f"{card.name}-rounded", network, teacher)
    _, state = _trained(recipe, asked, folder)
    return build_restorer(card, state)


def network_of(given: Restorer) -> nn.Module:
    """Its network; ``ValueError`` where it is none of ours."""
    if not isinstance(given.model, NetworkModel) or given.card.architecture not in NETWORKS:
        raise ValueError(
            f"it is no network of ours ({given.card.architecture}), whose channels could be cut or taught; "
            "give weights that restora train wrote, or a name such as ffdnet-colour"
        )
    return given.model.network


def _folder(asked: Asked) -> Path:
    """Where the training is kept, beside the file."""
    folder = asked.file.with_name(f"{asked.file.stem}.training")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JobError(f"{folder}: cannot be made: {error.strerror or error}") from error
    return folder.absolute()


def _teacher(given: Restorer, folder: Path) -> Path:
    file = folder / "teacher.safetensors"
    save_weights(file, given.card, network_of(given).state_dict())
    return file


def _trained(recipe: TrainingRecipe, asked: Asked, folder: Path) -> tuple[Card, dict[str, Tensor]]:
    how = asked.retraining
    options = TrainingOptions(engine="local", device=how.device, threads=how.threads)
    with named_by_option(_IMAGES, "--data"):
        train_here(recipe, Folder(str(folder)), options, asked.on_progress, asked.stopping)
    return load_weights(folder / f"{recipe.name}.safetensors")


def _taught(given: Restorer, recipe: TrainingRecipe, asked: Asked, method: str, folder: Path) -> Compressed:
    score = scorer_of(asked.images, given.card)
    before = score(given)
    file = folder / f"{recipe.name}.safetensors"
    card, state = _trained(recipe, asked, folder)
    light = build_restorer(card, state)
    after, speedup = score(light), measured_speedup(given, light)
    _check(before - after, speedup, asked, file)
    counts = [sum(each.numel() for each in network_of(one).parameters()) for one in (light, given)]
    what = f"{counts[0]:,} weights of {counts[1]:,}"
    facts: dict[str, Any] = {
        "method": method,
        "of": given.card.name,
        "weights": counts[0],
        "weights_of_original": counts[1],
        "degradation": asked.images.degradation or usual_degradation(given.card),
        "psnr": round(after, 3),
        "psnr_of_original": round(before, 3),
        "times_original": speedup,
        "threads": torch.get_num_threads(),
        "measured_on": "images trained on" if asked.images.validate is None else "images not trained on",
    }
    content = _content(card, state, facts, asked.file)
    return Compressed(asked.file, content, before, after, speedup, what)


def _check(loss: float, speedup: float, asked: Asked, file: Path) -> None:
    if loss > asked.most_loss:
        raise ValueError(
            f"what was trained loses {loss:.2f} dB, more than {asked.most_loss:g}, at {speedup:.2f} x; it is "
            f"in {file}. Train longer (--minutes), keep more (--keep), or allow more with --most-loss"
        )
    if speedup < asked.least_speedup:
        raise ValueError(
            f"what was trained is {speedup:.2f} x as fast on this machine and loses {loss:.2f} dB; it is in "
            f"{file}. Keep less (--keep)"
        )


def _content(card: Card, state: Mapping[str, Tensor], facts: dict[str, Any], file: Path) -> bytes:
    """As the file will be: floats of 16 bits."""
    partial = file.with_name(f"{file.stem}.training") / "measured.safetensors"
    signed = dataclasses.replace(card, training={**card.training, "compressed": facts})
    save_weights(partial, signed, dict(state), dtype=torch.float16)
    content = partial.read_bytes()
    partial.unlink()
    return content
