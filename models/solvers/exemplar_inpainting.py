"""Inpainting with what is known elsewhere in the image: holes are made of patches that look alike.

Wexler, Shechtman and Irani 2007, "Space-time completion of video": every patch that touches a hole is given
the known patch most like it, a hole's pixel becomes the mean of what all patches over it say, and both again,
from coarse to fine. Matches by PatchMatch; weights as in Newson, Almansa, Gousseau and Perez 2014, "Video
inpainting of complex scenes".

Shapes: B batch, C channels, H and W height and width, N pixels in reading order, P patches over holes,
D pixels of a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.card import Card
from models.contract import Condition
from models.solvers.biharmonic import each_filled
from models.solvers.fast_marching_inpainting import FastMarchingInpainting
from models.solvers.patch_match import PatchField
from models.solvers.solver import Solver, whole

_LEAST_SIDE = 24
"""Images are not made smaller than this."""
_LEAST_SHARE = 0.03
"""Of what is known, that must be patches to copy: among many thin holes only smaller patches are whole."""
_TRUST = 1.3
"""How much less the patch a pixel farther into the hole says."""


@dataclass(frozen=True, kw_only=True)
class ExemplarInpainting(Solver):
    """Known pixels stay as they are; where no whole patch is known, holes are filled from their edges."""

    name: ClassVar[str] = "exemplar_inpainting"

    radius: int = whole(3, 1, 10)
    """How far a patch reaches about its centre, in pixels: it must fit between holes to be copied."""
    rounds: int = whole(4, 1, 100)
    """Of finding matches and filling, at each size."""

    def card(self, name: str) -> Card:
        """What fits may come from anywhere."""
        return Card(
            name=name,
            summary="Fills holes with patches from elsewhere in the image, known pixels untouched.",
            task="inpainting",
            halo=None,
            tile_exact=False,
            needs=("mask",),
            source="Wexler et al. 2007, Space-time completion of video; Barnes et al. 2009, PatchMatch",
        )

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """BCHW, within the range of each image's known pixels."""
        return each_filled(self._filled, degraded_BCHW, condition)

    def _filled(self, image_CHW: Tensor, known_HW: Tensor) -> Tensor:
        levels = _pyramid(image_CHW, known_HW, self.radius)
        rng = Generator().manual_seed(0)
        coarsest_CHW, hidden_HW = levels[-1]
        told = Condition(mask_B1HW=hidden_HW[None, None].to(image_CHW))
        filled_CHW = FastMarchingInpainting()(coarsest_CHW[None], told)[0]
        match_HW: Tensor | None = None
        for level_CHW, level_HW in reversed(levels):
            completion = _Completion(level_CHW, level_HW, self.radius)
            filled_CHW, match_HW = completion.run(filled_CHW, match_HW, self.rounds, rng)
        return torch.where(known_HW, image_CHW, filled_CHW)


class _Completion:
    """One size of one image."""

    def __init__(self, image_CHW: Tensor, known_HW: Tensor, radius: int) -> None:
        self._image_CHW, self._known_HW = image_CHW, known_HW
        enough = _LEAST_SHARE * float(known_HW.sum())
        while radius > 1 and int(_patches(known_HW, radius).sum()) < enough:
            radius -= 1
        self._radius, self._source_HW = radius, _patches(known_HW, radius)
        inside_HW = _patches(torch.ones_like(known_HW), radius)
        self._target_HW = inside_HW & ~self._source_HW

    def run(
        self, start_CHW: Tensor, coarser_HW: Tensor | None, rounds: int, rng: Generator
    ) -> tuple[Tensor, Tensor | None]:
        """The filled image, and the centre of each patch's match; the start may be half as large."""
        height, width = self._known_HW.shape
        start_CHW = _enlarged(start_CHW, height, width)
        filled_CHW = torch.where(self._known_HW, self._image_CHW, start_CHW)
        if not self._source_HW.any() or not self._target_HW.any():
            return filled_CHW, None
        field = PatchField(self._target_HW, self._source_HW, self._radius, rng)
        value_CN = filled_CHW.flatten(1)
        if coarser_HW is not None:
            field.start_from(_finer(coarser_HW, field.target_P, width))
            self._vote(field, value_CN)
        for _ in range(rounds):
            field.search(value_CN)
            self._vote(field, value_CN)
        match_N = torch.full((height * width,), -1, device=value_CN.device)
        match_N[field.target_P] = field.match_P
        return value_CN.view_as(filled_CHW), match_N.view(height, width)

    def _vote(self, field: PatchField, value_CN: Tensor) -> None:
        """Every hole's pixel becomes the mean of what the matches of the patches over it say."""
        total_CN, weight_N = torch.zeros_like(value_CN), torch.zeros_like(value_CN[0])
        weight_P = self._weights(field).to(value_CN)
        for part_T in field.parts():
            near_TD = field.target_P[part_T, None] + field.offset_D
            said_CTD = value_CN[:, field.match_P[part_T, None] + field.offset_D]
            weight_TD = weight_P[part_T, None].expand_as(near_TD)
            weight_N.index_add_(0, near_TD.flatten(), weight_TD.flatten())
            total_CN.index_add_(1, near_TD.flatten(), (said_CTD * weight_TD).flatten(1))
        hole_N = ~self._known_HW.flatten() & (weight_N > 0)
        value_CN[:, hole_N] = total_CN[:, hole_N] / weight_N[hole_N]

    def _weights(self, field: PatchField) -> Tensor:
        """P: more for good matches, and for patches near to what is known."""
        far_P = _distance(self._known_HW).flatten()[field.target_P]
        trust_P = _TRUST**-far_P
        if not bool(field.distance_P.isfinite().all()):
            return trust_P
        rank = max(round(0.75 * len(field.distance_P)), 1)
        variance = field.distance_P.kthvalue(rank).values.clamp(min=1e-8)
        return trust_P * torch.exp(-field.distance_P / (2 * variance)).clamp(min=1e-6)


def _pyramid(image_CHW: Tensor, known_HW: Tensor, radius: int) -> list[tuple[Tensor, Tensor]]:
    """Images and what is known of them, each half as large, until a patch reaches across the holes."""
    levels = [(image_CHW, known_HW)]
    while min(known_HW.shape) >= 2 * _LEAST_SIDE and float(_distance(known_HW).max()) > radius:
        share_11HW = F.avg_pool2d(known_HW[None, None].to(image_CHW), 2, ceil_mode=True)
        seen_CHW = torch.where(known_HW, image_CHW, 0.0)
        mean_CHW = F.avg_pool2d(seen_CHW[None], 2, ceil_mode=True)[0] / share_11HW[0].clamp(min=1e-6)
        image_CHW, known_HW = mean_CHW, share_11HW[0, 0] >= 0.5
        if not known_HW.any():
            break
        levels.append((image_CHW, known_HW))
    return levels


def _distance(known_HW: Tensor) -> Tensor:
    """HW float32: how far the next known pixel is, 0 where it is known."""
    from scipy import ndimage  # takes longer to import than the catalog may

    distance = ndimage.distance_transform_edt(~known_HW.cpu().numpy())
    return torch.from_numpy(distance).float().to(known_HW.device)


def _patches(known_HW: Tensor, radius: int) -> Tensor:
    """HW: the centres of patches that lie in the image and are wholly known."""
    hidden_1HW = F.pad((~known_HW)[None].float(), (radius,) * 4, value=1.0)
    return F.max_pool2d(hidden_1HW, 2 * radius + 1, stride=1)[0] == 0


def _enlarged(image_CHW: Tensor, height: int, width: int) -> Tensor:
    if image_CHW.shape[-2:] == (height, width):
        return image_CHW
    return image_CHW.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)[:, :height, :width]


def _finer(coarser_HW: Tensor, target_P: Tensor, width: int) -> Tensor:
    """P: the matches of a field half as large, for these pixels; -1 where it has none."""
    row_P, column_P = target_P // width, target_P % width
    match_P = coarser_HW[row_P // 2, column_P // 2]
    found_P = match_P // coarser_HW.shape[1] * 2 + row_P % 2
    across_P = match_P % coarser_HW.shape[1] * 2 + column_P % 2
    return torch.where((match_P >= 0) & (across_P < width), found_P * width + across_P, -1)
