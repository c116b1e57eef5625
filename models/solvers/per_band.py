"""A network of one or three channels on images of any number of bands: each band on its own, as grey.

Shapes: B batch, N bands, C channels of the wrapped restorer, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.wrapper import Wrapper


@dataclass(frozen=True, kw_only=True)
class PerBand(Wrapper):
    """Hands each band over in all channels at once and takes the mean of what comes back."""

    name: ClassVar[str] = "per_band"
    refusal: ClassVar[str] = "may differ between bands"

    def card(self, name: str) -> Card:
        """The wrapped restorer's facts, for any number of bands."""
        summary = f"{self.restorer.card.name} on each band by itself, for grey and multi-band images."
        return self._card(name, summary, channels=None)

    def __call__(self, degraded_BNHW: Tensor, condition: Condition) -> Tensor:
        """BN and the restorer's scale times H and W."""
        batch, bands = degraded_BNHW.shape[:2]
        channels = self.restorer.card.channels or 1
        single_BCHW = degraded_BNHW.flatten(0, 1).unsqueeze(1).expand(-1, channels, -1, -1)
        # Unguarded: what comes out is judged as every result, and priors see flat images on their way.
        restored_BCHW = self.restorer.differentiable(single_BCHW, _repeated(condition, batch, bands))
        return restored_BCHW.mean(dim=1).reshape(batch, bands, *restored_BCHW.shape[-2:])


def _repeated(condition: Condition, batch: int, bands: int) -> Condition:
    level_B, mask_B1HW, frames_BTNHW = condition.noise_level_B, condition.mask_B1HW, condition.frames_BTCHW
    guide_BPHW = condition.guide_BPHW
    return replace(
        condition,
        noise_level_B=None if level_B is None else level_B.expand(batch).repeat_interleave(bands),
        mask_B1HW=None
        if mask_B1HW is None
        else mask_B1HW.expand(batch, -1, -1, -1).repeat_interleave(bands, dim=0),
        guide_BPHW=None
        if guide_BPHW is None
        else guide_BPHW.expand(batch, -1, -1, -1).repeat_interleave(bands, dim=0),
        # Of each band its own frames.
        frames_BTCHW=None if frames_BTNHW is None else frames_BTNHW.transpose(1, 2).flatten(0, 1)[:, :, None],
    )
