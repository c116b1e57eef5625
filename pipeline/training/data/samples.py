"""Samples on the device: cut, turned, degraded; as the steps take them.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.contract import Condition
from pipeline.degradation.degradation import Degradation, Degraded
from pipeline.training.data.collection import Collection
from pipeline.training.data.neighbor2neighbor import draw_neighbor_pair
from pipeline.training.data.noise2void import hide_pixels
from pipeline.training.data.pictures import Picture, span_of
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
        self._rank, self._share = rank, recipe.batch // size
        self._microbatch = min(recipe.batch // recipe.accumulation, self._share)

    def examples(self, step: int) -> list[Example]:
        """Pairs for ``RestorationStep``, one example a microbatch."""
        pictures = self._collection.at(step)
        return [self._example(draws, pictures) for draws in self._microbatches(step)]

    def clean(self, step: int) -> list[Tensor]:
        """Images BCHW in [0, 1] for ``GenerationStep``, one batch a microbatch."""
        pictures = self._collection.at(step)
        return [
            torch.stack([self._cut(draw, pictures[draw.picture])[0] for draw in draws])
            for draws in self._microbatches(step)
        ]

    def maker(self) -> Callable[[int], list[Example] | list[Tensor]]:
        """The one of both that the recipe's kind takes."""
        return self.examples if self._recipe.kind == "restoration" else self.clean

    def fixed(self, count: int, batch: int = 32) -> list[Tensor]:
        """Images BCHW in [0, 1], the same in every run of the recipe: to compare generated ones with."""
        draws = [self._sampler(-1, index) for index in range(count)]
        images = [self._cut(draw, self._collection.picture(draw.picture))[0] for draw in draws]
        return [torch.stack(images[first : first + batch]) for first in range(0, count, batch)]

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
        pairs = [self._cut(draw, pictures[draw.picture]) for draw in draws]
        targets = [target for target, _ in pairs]
        degraded = [
            self._degraded(target, draw.seed) if found is None else self._found(target, found)
            for (target, found), draw in zip(pairs, draws, strict=True)
        ]
        condition = together([each.condition for each in degraded], self._device)
        degraded_BCHW = torch.cat([each.image_BCHW for each in degraded])
        if self._recipe.self_supervision == "neighbor2neighbor":
            first_BChw, second_BChw = draw_neighbor_pair(degraded_BCHW, [draw.seed for draw in draws])
            return Example(first_BChw, second_BChw, condition)
        if self._recipe.self_supervision == "noise2void":
            hidden_BCHW, mask_B1HW = hide_pixels(degraded_BCHW, [draw.seed for draw in draws])
            return Example(hidden_BCHW, degraded_BCHW, replace(condition, mask_B1HW=mask_B1HW))
        return Example(degraded_BCHW, torch.stack(targets), condition)

    def _degraded(self, image_CHW: Tensor, seed: int) -> Degraded:
        which = seed % len(self._degradations)
        return self._degradations[which](image_CHW[None], seed)

    @staticmethod
    def _found(target_CHW: Tensor, found_CHW: Tensor) -> Degraded:
        scale = target_CHW.shape[-1] // found_CHW.shape[-1]
        return Degraded(found_CHW[None], [], Condition(scale=scale))

    def _cut(self, draw: Draw, picture: Picture) -> tuple[Tensor, Tensor | None]:
        """The crop that is learnt, and of a pair the same place of the image as it was found."""
        side, scale = self._recipe.data.crop, picture.scale
        places = [(top - top % scale, left - left % scale) for top, left in draw.places]
        crops = [picture.pixels_HWC[top : top + side, left : left + side] for top, left in places]
        chosen = max(range(len(crops)), key=lambda i: _gradient_strength(crops[i])) if len(crops) > 1 else 0
        target_CHW = self._turned(crops[chosen], draw)
        if picture.found_HWC is None:
            return target_CHW, None
        top, left = (each // scale for each in places[chosen])
        found_HWC = picture.found_HWC[top : top + side // scale, left : left + side // scale]
        return target_CHW, self._turned(found_HWC, draw)

    def _turned(self, crop_HWC: NDArray[Any], draw: Draw) -> Tensor:
        turned_HWC = np.rot90(crop_HWC[:, ::-1] if draw.flip else crop_HWC, draw.quarters)
        stored_CHW = torch.from_numpy(np.ascontiguousarray(turned_HWC.transpose(2, 0, 1)))
        image_CHW = stored_CHW.to(self._device).float() / span_of(crop_HWC)
        if draw.channels != tuple(range(len(draw.channels))):
            image_CHW = image_CHW[list(draw.channels)]
        if self._recipe.data.downsample > 1:
            image_CHW = F.avg_pool2d(image_CHW[None], self._recipe.data.downsample)[0]
        return image_CHW


def together(conditions: Sequence[Condition], device: torch.device) -> Condition:
    """One condition of a whole batch; the operators, which differ from sample to sample, are left out."""
    levels = [each.noise_level_B for each in conditions]
    masks = [each.mask_B1HW for each in conditions]
    known = [level if level is not None else torch.zeros(1) for level in levels]
    return Condition(
        scale=conditions[0].scale,
        noise_level_B=torch.cat(known).to(device) if any(level is not None for level in levels) else None,
        mask_B1HW=torch.cat([m.to(device) for m in masks if m is not None]) if _all(masks) else None,
    )


def _all(masks: Sequence[Tensor | None]) -> bool:
    return all(mask is not None for mask in masks)


def _gradient_strength(crop_HWC: NDArray[Any]) -> float:
    """Mean absolute difference of neighbours, in stored steps."""
    values = crop_HWC.astype(np.float32)
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean())
