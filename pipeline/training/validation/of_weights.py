"""What a training's weights are worth, restorer's or generator's: made once, asked at every validation."""

from __future__ import annotations

from torch import Tensor

from models.image_generator import ImageGenerator
from models.weights import build_part, build_restorer
from pipeline.training.data.samples import Samples
from pipeline.training.export import card_of
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.validation.generator import GeneratorValidation
from pipeline.training.validation.restorer import RestorerValidation, Validated
from pipeline.training.world import World


class WeightsValidation:
    """``validation(state)`` scores these weights. Its images are read when it is made.

    ``JobError`` where there are datasets and none of their images can be read.
    """

    def __init__(self, built: BuiltRecipe, samples: Samples, world: World) -> None:
        recipe = built.recipe
        self._recipe, self._world = recipe, world
        self._of_restorer: RestorerValidation | None = None
        self._of_generator: GeneratorValidation | None = None
        if recipe.kind == "restoration":
            self._of_restorer = RestorerValidation(
                recipe.validation,
                built.validation,
                channels=built.channels,
                seed=recipe.seed,
                world=world,
            )
        elif world.leads:  # one distance of all images: the first worker's alone
            self._of_generator = GeneratorValidation(
                samples,
                count=recipe.validation.generated,
                seed=recipe.seed,
                device=world.device,
                shows=recipe.validation.show_private or not recipe.has_private_data,
            )

    def __call__(self, state: dict[str, Tensor]) -> Validated:
        """Scores and a sheet."""
        recipe = self._recipe
        if self._of_restorer is not None:
            return self._of_restorer(build_restorer(card_of(recipe), state, recipe.network.architecture))
        if self._of_generator is None:
            return Validated()
        part = build_part(card_of(recipe, {"recipe": {"latents": recipe.latents}}), state)
        assert isinstance(part, ImageGenerator)
        return self._of_generator(part.to(self._world.device))
