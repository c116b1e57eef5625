"""What a run delivers: weights with their card, in one file that every job and command takes."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.card import Card
from models.networks import card_facts
from models.weights import load_weights, weights_bytes
from pipeline.addresses import redacted
from pipeline.hashing import canonical_json, sha256_hex
from pipeline.storage.folder import Folder
from pipeline.training.data.attribution import read_attribution
from pipeline.training.data.collection import Collection
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.built_recipe import BuiltRecipe, build_trained
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.world import World

INDEX = "index.json"


def card_of(recipe: TrainingRecipe, training: dict[str, Any] | None = None) -> Card:
    """The card of the network that the recipe trains; ``training`` says how that went."""
    with torch.device("meta"):
        network: Any = build_trained(recipe)
    generated = {"channels": network.channels, "halo": None, "tile_exact": False}
    facts: dict[str, Any] = generated if recipe.kind == "generation" else card_facts(network)
    return Card(
        name=recipe.name,
        summary=recipe.summary,
        task=recipe.task,
        value_range=recipe.network.value_range,
        architecture=recipe.network.architecture,
        arguments=recipe.network.arguments,
        licence=recipe.licence,
        source=redacted(recipe.source),
        training=training or {},
        **facts,
    )


def stored_state(state: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """The weights as they will be read back from a file that stores floats as ``kind``."""
    dtype = getattr(torch, kind)
    return {
        name: tensor.to(dtype).float() if tensor.is_floating_point() else tensor.clone()
        for name, tensor in state.items()
    }


def export(folder: Folder, recipe: TrainingRecipe, card: Card, state: dict[str, Tensor]) -> str:
    """Writes ``<name>.safetensors``; returns its address."""
    key = f"{recipe.name}.safetensors"
    folder.put(key, weights_bytes(card, state, dtype=getattr(torch, recipe.export)))
    return folder.uri(key)


def publish(weights: Folder, key: str, registry: Folder) -> str:
    """Copies a file of weights to the weights registry, and its card into the registry's ``index.json``.

    The weights go first: what the index names is there. Returns the address.
    """
    content = weights.read(key)
    card, _ = load_weights(content)
    index = json.loads(registry.read(INDEX)) if registry.exists(INDEX) else {}
    registry.put(key, content)
    index[card.name] = {
        "file": key,
        "sha256": sha256_hex(content),
        "bytes": len(content),
        "card": json.loads(replace(card, weights_sha256=sha256_hex(content)).to_json()),
    }
    registry.put(INDEX, json.dumps(dict(sorted(index.items())), indent=1).encode())
    return registry.uri(key)


def hardware(device: torch.device) -> str:
    """What the run ran on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{torch.get_num_threads()} threads on {names[0] if names else platform.machine()}"


def facts_of(built: BuiltRecipe, collection: Collection | StreamedCollection, world: World) -> dict[str, Any]:
    """What a card says of a training, but for how far it came: recipe, data, hardware."""
    recipe = built.recipe
    protocol = recipe.identity()
    protocol["degradations"] = [each.specification() for each in built.degradations]
    facts: dict[str, Any] = {
        "recipe": protocol,
        "recipe_sha256": sha256_hex(canonical_json(protocol).encode()),
        "data_sha256": collection.digest,
        "images": len(collection.names),
        "images_left_out": len(collection.skipped),
        "hardware": f"{world.size} x {hardware(world.device)}" if world.size > 1 else hardware(world.device),
        "torch": torch.__version__,
    }
    if recipe.data.attribution is not None:
        names = [each.rpartition("/")[2] for each in collection.names]
        facts["photographs"] = read_attribution(Path(recipe.data.attribution), names)
    return facts
