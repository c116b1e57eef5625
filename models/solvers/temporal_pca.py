"""Principal components over time: what frames have in common is kept, what each has alone goes.

Gomez-Chova et al., "Cloud masking and removal in remote sensing image time series", 2017, and the textbooks:
a stack of registered frames is a matrix of frames x pixels, of which a few components hold the scene.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.solver import Solver, whole
from models.stacks.alignment import aligned


@dataclass(frozen=True, kw_only=True)
class TemporalPca(Solver):
    """The first frame, made of the first components of the stack alone; each channel by itself."""

    name: ClassVar[str] = "temporal_pca"

    components: int = whole(1, 1, 64)
    """How many are kept beside the mean over time."""

    def card(self, name: str) -> Card:
        """Needs the whole image: components are those of all pixels."""
        return Card(
            name=name,
            summary=f"The first principal components ({self.components}) of registered frames of a scene.",
            task="denoising",
            halo=None,
            tile_exact=False,
            needs=("frames",),
            source="Pearson 1901; Gomez-Chova et al. 2017",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW."""
        stack, seen = aligned(degraded_BCHW, condition)
        shape = degraded_BCHW.shape
        values = stack.double().transpose(1, 2).flatten(3)  # B C T N
        known = seen[:, None].flatten(3).to(values)
        mean = (values * known).sum(2, keepdim=True) / known.sum(2, keepdim=True)
        centred = (values - mean) * known
        _, vectors = torch.linalg.eigh(centred @ centred.transpose(2, 3))
        kept = vectors[..., -min(self.components, values.shape[2]) :]
        parts = kept.transpose(2, 3) @ centred
        restored: Tensor = mean + kept[:, :, :1] @ parts
        image_BCHW: Tensor = restored[:, :, 0].view(shape).to(degraded_BCHW.dtype)
        return image_BCHW
