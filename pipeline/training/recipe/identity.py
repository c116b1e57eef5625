"""What a checkpoint must share with a run to go on: the recipe, its images, and the weights it names."""

from __future__ import annotations

from typing import Any

from pipeline.hashing import sha256_hex
from pipeline.training.data.collection import Collection
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.built_recipe import BuiltRecipe, start_of
from pipeline.training.recipe.teaching import teacher_bytes


def identity_of(built: BuiltRecipe, collection: Collection | StreamedCollection) -> dict[str, Any]:
    """Plain values. Images and weights are in it by their digests: where they lie does not matter."""
    recipe = built.recipe
    identity = recipe.identity() | {"data_sha256": collection.digest}
    if streamed := collection.identity(recipe.data):
        identity["data"]["streamed"] = streamed
    if built.plugins:
        identity["plugins"] = built.plugins
    if (start := start_of(recipe)) is not None:
        identity["network"]["start"] = sha256_hex(start)
    if recipe.teacher is not None:
        identity["teacher"]["weights"] = sha256_hex(teacher_bytes(recipe.teacher))
    return identity
