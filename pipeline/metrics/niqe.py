"""Natural image quality evaluator (Mittal, Soundararajan, Bovik 2013), without a reference.

Shapes: B batch, C channels, H and W height and width, N blocks, F = 36 features, K numbers of a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import ClassVar

import safetensors.torch
import torch
from torch import Tensor

from pipeline.metrics import luma, valid
from pipeline.metrics.accumulating import BySections, Section
from pipeline.metrics.base import FULL_RANGE, MetricInputs, MetricProtocol
from pipeline.metrics.natural_scene import BLOCK, FEATURES, REACH, block_features, whole_blocks

MODEL = "niqe.safetensors"
"""File beside this one: mean and covariance of the features of sharp blocks of good photographs."""


@dataclass(frozen=True)
class Niqe(BySections):
    """Distance from the statistics of good photographs; NaN under 192 x 192 and for flat images."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="niqe",
        formula=(
            "sqrt((m1 - m2)' ((C1 + C2) / 2)^+ (m1 - m2)); m1, C1: mean and covariance of 36 features of "
            "sharp blocks (sharpness over 0.75 of the photograph's highest) of 14 photographs; m2, C2: of "
            "the image's blocks, flat ones left out; shapes of distributions are interpolated. Its "
            "parameters are not those of the paper: compare only with scores of the same parameters"
        ),
        colour=luma.FULL.replace("scores averaged", "channels averaged") + "; not rounded",
        border="scale",
        data_range=FULL_RANGE,
        unit="1",
        higher_is_better=False,
        best=0.0,
        source="Mittal, Soundararajan and Bovik, IEEE SPL 20(3), 2013",
        minimum_size=2 * BLOCK,
        window=(
            "blocks of 96 x 96 from the upper left corner, at two sizes (MATLAB bicubic to half), wholly "
            "valid with 10 pixels around; local mean and deviation: Gaussian 7 x 7, sigma 7/6, edges repeated"
        ),
        pair=MetricInputs.ALONE,
        parameters=(
            (
                "photographs",
                "the 14 marked train in conf/train/photographs.tsv, fitted by benchmarks/fit_niqe.py",
            ),
            ("sha256", "835458768905c22a"),
        ),
    )

    grid: ClassVar[int] = BLOCK
    reach: ClassVar[int] = REACH

    def part(
        self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None, section: Section
    ) -> Tensor:
        """(B, K): ``spread`` of the features of the whole blocks that begin in the section."""
        blocks = section.cut(*(side // BLOCK * BLOCK for side in section.size))
        if blocks.is_empty or min(section.size) < self.protocol.minimum_size:
            return spread(restored_BCHW.new_empty(0, FEATURES).double()).repeat(len(restored_BCHW), 1)
        grey_BHW = grey_levels(valid.blanked(restored_BCHW, valid_B1HW))
        features_BNF, _ = block_features(grey_BHW, section)
        if valid_B1HW is not None:
            features_BNF = features_BNF.where(whole_blocks(valid_B1HW, section)[..., None], torch.nan)
        return torch.stack([spread(features_NF) for features_NF in features_BNF])

    def merged(self, first_BK: Tensor, second_BK: Tensor) -> Tensor:
        """(B, K): of the blocks of both."""
        pairs = zip(first_BK, second_BK, strict=True)
        return torch.stack([merged_spread(first_K, second_K) for first_K, second_K in pairs])

    def score(self, part_BK: Tensor) -> Tensor:
        """(B,): NaN where fewer than two blocks count."""
        return torch.stack([_distance(*gaussian_of(part_K)) for part_K in part_BK])


def grey_levels(image_BCHW: Tensor) -> Tensor:
    """BHW float64, 0..255: luma of three channels, else the mean of the channels."""
    return 255 * luma.full_range_planes(image_BCHW.double()).mean(dim=1)


def gaussian_model(features_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of the rows without NaN; NaN where these are fewer than two."""
    return gaussian_of(spread(features_NF))


def spread(features_NF: Tensor) -> Tensor:
    """(K,), K = 1 + F + F F: the number of rows without NaN, their mean, and the sum of outer products of
    what they are off it."""
    rows_FN = features_NF[features_NF.isfinite().all(dim=1)].T
    count = rows_FN.shape[1]
    mean_F = rows_FN.mean(dim=1) if count else rows_FN.new_zeros(len(rows_FN))
    off_FN = rows_FN - mean_F[:, None]
    return torch.cat([mean_F.new_tensor([count]), mean_F, (off_FN @ off_FN.T).flatten()])


def merged_spread(first_K: Tensor, second_K: Tensor) -> Tensor:
    """(K,): of the rows of both (Chan, Golub and LeVeque, Stanford STAN-CS-79-773, 1979)."""
    (n1, mean1_F, scatter1_FF), (n2, mean2_F, scatter2_FF) = _unpacked(first_K), _unpacked(second_K)
    count = n1 + n2
    step_F = mean2_F - mean1_F
    share = n2 / count.clamp_min(1)
    scatter_FF = scatter1_FF + scatter2_FF + n1 * share * step_F.outer(step_F)
    return torch.cat([count[None], mean1_F + share * step_F, scatter_FF.flatten()])


def gaussian_of(spread_K: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) by ``spread``; NaN where it has fewer than two rows."""
    count, mean_F, scatter_FF = _unpacked(spread_K)
    if count < 2:
        return torch.full_like(mean_F, torch.nan), torch.full_like(scatter_FF, torch.nan)
    return mean_F, scatter_FF / (count - 1)


def _unpacked(spread_K: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean_F = spread_K[1 : FEATURES + 1]
    return spread_K[0], mean_F, spread_K[FEATURES + 1 :].view(FEATURES, FEATURES)


def _distance(mean_F: Tensor, covariance_FF: Tensor) -> Tensor:
    if mean_F.isnan().any():
        return mean_F[0]
    good_mean_F, good_covariance_FF = (each.to(mean_F.device) for each in _model())
    difference_F = mean_F - good_mean_F
    pooled_FF = torch.linalg.pinv((covariance_FF + good_covariance_FF) / 2, hermitian=True)
    squared: Tensor = difference_F @ pooled_FF @ difference_F
    return squared.clamp_min(0).sqrt()


@lru_cache(maxsize=1)
def _model() -> tuple[Tensor, Tensor]:
    tensors = safetensors.torch.load(resources.files("pipeline.metrics").joinpath(MODEL).read_bytes())
    return tensors["mean"], tensors["covariance"]
