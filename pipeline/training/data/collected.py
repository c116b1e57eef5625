"""The images that a recipe trains on."""

from __future__ import annotations

from pipeline.training.data.collection import Collection, read_collection
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe


def collected(recipe: TrainingRecipe, built: BuiltRecipe) -> Collection | StreamedCollection:
    """Read once, and in memory where they fit; ``JobError`` where nothing can be trained on."""
    data = recipe.data
    return read_collection(
        data.collections,
        channels=built.channels,
        smallest=data.crop,
        pairs=recipe.is_paired,
        scale=built.scale,
        most_bytes=data.memory_gigabytes * 1e9,
        most_pixels=data.max_pixels,
    )
