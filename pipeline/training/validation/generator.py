"""How far a generator's images are from true ones: ``frechet_lite0``; and a sheet of the same latents always.

Shapes: B batch, Z numbers of a latent, C channels, N the side of the image, D features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from models.image_generator import ImageGenerator
from pipeline.distances import FeatureSummary, frechet_distance
from pipeline.distances.features import Lite0Features
from pipeline.errors import JobError
from pipeline.hashing import seed_of
from pipeline.training.data.samples import Samples
from pipeline.training.recipe.renamed import with_current_names
from pipeline.training.validation.restorer import Pixels, Score, Validated

BATCH = 32
"""Images generated at a time."""
ACROSS = 8
"""Pictures in a row of a sheet."""
METRIC = "frechet_lite0"


class GeneratorValidation:
    """``validation(generator)`` compares as many generated images as crops of the training set.

    Without the extra ``perceptual`` there is a sheet and no score, and ``errors`` says so. ``shows``: whether
    there is a sheet, for a generator of private images may draw them again.
    """

    def __init__(
        self, samples: Samples, *, count: int, seed: int, device: torch.device, shows: bool = True
    ) -> None:
        self._shows = shows
        self._count, self._seed, self._device = count, seed, device
        self._errors: dict[str, str] = {}
        self._true: FeatureSummary | None = None
        try:
            self._features = Lite0Features(device)
            self._true = self._summary(samples.fixed(count))
        except JobError as error:
            self._errors[METRIC] = str(error)

    @torch.inference_mode()
    def __call__(self, generator: ImageGenerator) -> Validated:
        """The distance, and a sheet."""
        images = generated(generator, self._count, self._seed, self._device)
        shown = [displayed(image) for image in images[0][: 4 * ACROSS]] if self._shows else []
        rows = tuple(tuple(shown[first : first + ACROSS]) for first in range(0, len(shown), ACROSS))
        if self._true is None:
            return Validated(sheet=rows, errors=self._errors)
        distance = frechet_distance(self._summary(images), self._true)
        score = Score("generated", METRIC, (distance,), (), higher_is_better=False)
        return Validated((score,), rows, self._errors)

    def _summary(self, batches: list[Tensor]) -> FeatureSummary:
        features_ND = torch.cat([self._features(batch_BCNN.clamp(0, 1)) for batch_BCNN in batches])
        return FeatureSummary.of(features_ND, [str(index) for index in range(len(features_ND))])


@torch.inference_mode()
def generated(generator: ImageGenerator, count: int, seed: int, device: torch.device) -> list[Tensor]:
    """Batches BCNN in [0, 1], clipped: the images of the first ``count`` latents of a seed.

    Latents are from N(0, 1), or from U(-1, 1) where the card says that the generator was trained on those.
    """
    # "codes": a seed goes on drawing the images that it has always drawn.
    rng = Generator().manual_seed(seed_of(str(seed), "codes"))
    recipe = with_current_names(generator.card.training.get("recipe", {}))
    uniform = recipe.get("latents") == "uniform"

    def draw() -> Tensor:
        if uniform:
            return torch.rand(generator.latent, generator=rng) * 2 - 1
        return torch.randn(generator.latent, generator=rng)

    # One by one: torch draws other numbers for a larger tensor.
    latent_NZ = torch.stack([draw() for _ in range(count)])
    batches = torch.split(latent_NZ, BATCH)
    return [generator(latent_BZ.to(device)).float().clamp(0, 1) for latent_BZ in batches]


def displayed(image_CNN: Tensor) -> Pixels:
    """HWC uint8."""
    pixels: Pixels = (image_CNN * 255).round().byte().permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    return pixels
