"""Multi-image deblurring without kernels: every frequency from the frames that kept it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.solver import Solver
from models.stacks.accumulation import accumulated
from models.stacks.alignment import frames_of


@dataclass(frozen=True, kw_only=True)
class FourierAccumulation(Solver):
    """Lays frames on the image by flow, and adds their spectra by how large each frequency is in them."""

    name: ClassVar[str] = "fourier_accumulation"

    def card(self, name: str) -> Card:
        """Needs the whole image, to know how frames lie."""
        return Card(
            name=name,
            summary="The image with every frequency from those frames of the scene that shake left sharpest.",
            task="deblurring",
            halo=None,
            tile_exact=False,
            needs=("frames",),
            source="Delbracio and Sapiro, CVPR 2015",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        return accumulated(degraded_BCHW, frames_of(condition).to(degraded_BCHW))
