"""What a job writes of an image: in which format, what that leaves out, and what it cannot hold at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.formats.base import Format
from pipeline.formats.left_out import left_out
from pipeline.formats.previews import of_new_pixels
from pipeline.imaging.image import Image
from pipeline.jobs.job import NO_RESTORER
from pipeline.ledger.layout import Layout
from pipeline.processing.cases import Loaded, Outcome
from pipeline.recipe.recipe import Recipe


@dataclass(frozen=True)
class OutputEncoder:
    """The objects of a run's images, as its layout keeps them."""

    recipe: Recipe
    layout: Layout

    def encode(self, image: Image) -> tuple[bytes, tuple[str, ...]]:
        """The image as a file, and the extensions of its format. Raises as ``Format.encode``."""
        format = self._format(image)
        return format.encode(of_new_pixels(image)), format.extensions

    def refuse(self, loaded: Loaded) -> list[Outcome]:
        """The outcomes of an image of which nothing can be stored, known before any work is done on it."""
        outcomes = []
        for degradation, restorer in self.recipe.combinations:
            error = self._refusal(loaded.image, degradation, restorer)
            if error is None:
                return []
            outcomes.append(Outcome(loaded, degradation, restorer, error=error, stage="encode"))
        return outcomes

    def left_out(self, image: Image) -> str | None:
        """What an image loses in the format that it is stored in, for its row."""
        return left_out(image, self._format(image).name)

    def _format(self, image: Image) -> Format:
        return FORMATS[self.layout.output_format or image.metadata.format]

    def _refusal(self, image: Image, degradation: str, restorer: str) -> ImageError | None:
        format = self._format(image)
        try:
            for height, width in self._sizes(image, degradation, restorer):
                format.check(_outline(image, height, width))
        except ImageError as error:
            return error
        except Exception:  # encoding will fail as well, and its row will say where
            return None
        return None

    def _sizes(self, image: Image, degradation: str, restorer: str) -> Iterator[tuple[int, int]]:
        """Of what is stored of a combination; none of an image that is too small for its degradation."""
        shrink = {each.name: each.scale for each in self.recipe.degradations}
        enlarge = {each.name: each.restorer.card.scale for each in self.recipe.restorers}
        shrunk = shrink.get(degradation, 1)
        height, width = (side // shrunk for side in image.size[:2])
        if min(height, width) < 1:
            return
        if self.layout.keeps_degraded:
            yield height, width
        if self.layout.keeps_restored and restorer != NO_RESTORER:
            scale = enlarge[restorer] or shrunk
            yield height * scale, width * scale


def _outline(image: Image, height: int, width: int) -> Image:
    """An image like this one of another size, without its pixels: a single one stands for all."""

    def plane(*shape: int) -> NDArray[Any]:
        return np.broadcast_to(np.zeros((), image.domain.dtype), shape)

    return replace(
        image,
        pixels_HWC=plane(height, width, image.size[2]),
        valid_HW=None,
        alpha_HW=None if image.alpha_HW is None else plane(height, width),
    )
