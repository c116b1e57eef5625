"""Samples on the device: cut, turned, degraded; as the steps take them.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.contract import Condition
from pipeline.degradation.batched import counter_draws, degrade_batch, host_draws
from pipeline.degradation.degradation import Degradation
from pipeline.training.data.collection import Collection
from pipeline.training.data.crops import cut_crops
from pipeline.training.data.cut_blur import cut_blur
from pipeline.training.data.neighbor2neighbor import draw_neighbor_pair
from pipeline.training.data.noise2void import hide_pixels
from pipeline.training.data.pictures import Picture
from pipeline.training.data.sampler import Draw
from pipeline.training.data.streaming import StreamedCollection
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.steps.example import Example


class Samples:
    """``samples(step)``: this worker's share of the global batch, in microbatches.

    ``rank`` and ``size`` say which share: samples ``rank * share`` to ``(rank + 1) * share - 1`` of the
    batch, and of each further batch where the discriminator takes several steps.
    """

    def __init__(
        self,
        recipe: TrainingRecipe,
        collection: Collection | StreamedCollection,
        degradations: Sequence[Degradation],
        device: torch.device,
        *,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        assert recipe.batch % size == 0, (recipe.batch, size)
        self._recipe, self._collection, self._device = recipe, collection, device
        self._degradations = tuple(degradations)
        self._sampler = collection.sampler(recipe.data, recipe.seed, recipe.batch, rank, size)
        # A CPU draws faster in order than by counters; elsewhere nothing that is drawn crosses the bus.
        self._draws_of = host_draws if device.type == "cpu" else counter_draws(device)
        self._rank, self._share = rank, recipe.batch // size
        self._microbatch = min(recipe.batch // recipe.accumulation, self._share)

    def examples(self, step: int) -> list[Example]:
        """Pairs for ``RestorationStep``, one example a microbatch."""
        pictures = self._collection.at(step)
        return [self._example(draws, pictures) for draws in self._microbatches(step)]

    def clean(self, step: int) -> list[Tensor]:
        """Images BCHW in [0, 1] for ``GenerationStep``, one batch a microbatch."""
        pictures = self._collection.at(step)
        return [self._cut(draws, pictures)[0] for draws in self._microbatches(step)]

    def maker(self) -> Callable[[int], list[Example] | list[Tensor]]:
        """The one of both that the recipe's kind takes."""
        return self.examples if self._recipe.kind == "restoration" else self.clean

    def fixed(self, count: int, batch: int = 32) -> list[Tensor]:
        """Images BCHW in [0, 1], the same in every run of the recipe: to compare generated ones with."""
        draws = [self._sampler(-1, index) for index in range(count)]
        batches = [draws[first : first + batch] for first in range(0, count, batch)]
        return [
            self._cut(some, {each.picture: self._collection.picture(each.picture) for each in some})[0]
            for some in batches
        ]

    def _microbatches(self, step: int) -> list[list[Draw]]:
        draws = [self._sampler(step, index) for index in self._indices(step)]
        size = self._microbatch
        return [draws[first : first + size] for first in range(0, len(draws), size)]

    def _indices(self, step: int) -> list[int]:
        """Places in the batch and in further ones, one for each step of the discriminator."""
        spec = self._recipe.discriminator
        rounds = spec.steps if spec is not None and step >= spec.start_step else 1
        starts = (self._rank * self._share + self._recipe.batch * turn for turn in range(rounds))
        return [index for start in starts for index in range(start, start + self._share)]

    @torch.inference_mode(False)
    def _example(self, draws: Sequence[Draw], pictures: Mapping[int, Picture]) -> Example:
        target_BCHW, degraded_BCHW = self._cut(draws, pictures)
        seeds = [draw.seed for draw in draws]
        if degraded_BCHW is not None:
            condition = Condition(scale=target_BCHW.shape[-1] // degraded_BCHW.shape[-1])
        else:
            degraded_BCHW, condition = degrade_batch(self._degradations, target_BCHW, seeds, self._draws_of)
        if self._recipe.self_supervision == "neighbor2neighbor":
            first_BChw, second_BChw = draw_neighbor_pair(degraded_BCHW, seeds)
            return Example(first_BChw, second_BChw, condition)
        if self._recipe.self_supervision == "noise2void":
            hidden_BCHW, mask_B1HW = hide_pixels(degraded_BCHW, seeds)
            return Example(hidden_BCHW, degraded_BCHW, replace(condition, mask_B1HW=mask_B1HW))
        if chance := self._recipe.data.cut_blur:
            degraded_BCHW = cut_blur(degraded_BCHW, target_BCHW, seeds, chance)
        return Example(degraded_BCHW, target_BCHW, condition)

    def _cut(self, draws: Sequence[Draw], pictures: Mapping[int, Picture]) -> tuple[Tensor, Tensor | None]:
        return cut_crops(draws, pictures, self._recipe.data, self._device)
