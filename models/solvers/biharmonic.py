"""Inpainting with the smoothest surface through the known pixels, by scikit-image.

Damelin and Hoang 2018, "On surface completion and image inpainting by biharmonic functions". The sparse
system is solved on the CPU whatever the device, because torch has no sparse direct solver there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from models.card import Card
from models.restorer import Condition, RestorerError
from models.solvers.solver import Solver


@dataclass(frozen=True, kw_only=True)
class BiharmonicInpainting(Solver):
    """Fills holes so that the biharmonic operator vanishes in them; known pixels stay as they are."""

    name: ClassVar[str] = "biharmonic_inpainting"

    def card(self, name: str) -> Card:
        """Every pixel around a hole can matter, however large the hole."""
        return Card(
            name=name,
            summary="Fills holes with the smoothest surface (biharmonic), known pixels untouched.",
            task="inpainting",
            halo=None,
            tile_exact=False,
            needs=("mask",),
            source="Damelin and Hoang 2018; scikit-image",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, clipped by scikit-image to the range of the known pixels."""
        known_B1HW = known_pixels(condition, degraded_BCHW)
        pairs = zip(degraded_BCHW, known_B1HW, strict=True)
        return torch.stack([_inpaint(image_CHW, known_1HW[0]) for image_CHW, known_1HW in pairs])


def known_pixels(condition: Condition, degraded_BCHW: Tensor) -> Tensor:
    """B1HW, bool; raises ``RestorerError`` (``CONDITION_MISSING``) where an image has no known pixel."""
    assert condition.mask_B1HW is not None, "the card's needs were not checked"
    known_B1HW = condition.mask_B1HW.to(degraded_BCHW.device) > 0.5
    known_B1HW = known_B1HW.expand(degraded_BCHW.shape[0], 1, *degraded_BCHW.shape[-2:])
    if not bool(known_B1HW.any(dim=-1).any(dim=-1).all()):
        raise RestorerError("CONDITION_MISSING", "the mask leaves no known pixel to inpaint from")
    return known_B1HW


def _inpaint(image_CHW: Tensor, known_HW: Tensor) -> Tensor:
    if bool(known_HW.all()):
        return image_CHW.clone()
    from skimage.restoration import inpaint_biharmonic  # slow to import, and few runs inpaint

    pixels_CHW = image_CHW.double().cpu().numpy()
    filled_CHW = inpaint_biharmonic(
        pixels_CHW, np.logical_not(known_HW.cpu().numpy()), channel_axis=0, split_into_regions=True
    )
    filled = torch.as_tensor(filled_CHW).to(image_CHW)
    return torch.where(known_HW, image_CHW, filled)
