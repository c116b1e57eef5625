"""Natural image quality evaluator (Mittal, Soundararajan, Bovik 2013), without a reference.

Shapes: B batch, C channels, H and W height and width, N blocks, F = 36 features.
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
from pipeline.metrics.base import FULL_RANGE, MetricProtocol, Pair
from pipeline.metrics.natural_scene import BLOCK, block_features, whole_blocks

MODEL = "niqe.safetensors"
"""File beside this one: mean and covariance of the features of sharp blocks of good photographs."""


@dataclass(frozen=True)
class Niqe:
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
        pair=Pair.ALONE,
        parameters=(
            (
                "photographs",
                "the 14 marked train in conf/train/photographs.tsv, fitted by benchmarks/fit_niqe.py",
            ),
            ("sha256", "835458768905c22a"),
        ),
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the reference is not looked at."""
        if min(restored_BCHW.shape[-2:]) < self.protocol.minimum_size:
            return valid.undefined(restored_BCHW)
        grey_BHW = grey_levels(valid.blanked(restored_BCHW, valid_B1HW))
        features_BNF, _ = block_features(grey_BHW)
        if valid_B1HW is not None:
            features_BNF = features_BNF.where(whole_blocks(valid_B1HW)[..., None], torch.nan)
        return torch.stack([_distance(features_NF) for features_NF in features_BNF])


def grey_levels(image_BCHW: Tensor) -> Tensor:
    """BHW float64, 0..255: luma of three channels, else the mean of the channels."""
    return 255 * luma.full_range_planes(image_BCHW.double()).mean(dim=1)


def gaussian_model(features_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of the rows without NaN; NaN where these are fewer than two."""
    rows_NF = features_NF[features_NF.isfinite().all(dim=1)]
    if len(rows_NF) < 2:
        nan_F = features_NF.new_full(features_NF.shape[1:], torch.nan)
        return nan_F, nan_F.outer(nan_F)
    return rows_NF.mean(dim=0), torch.cov(rows_NF.T)


def _distance(features_NF: Tensor) -> Tensor:
    mean_F, covariance_FF = gaussian_model(features_NF)
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
