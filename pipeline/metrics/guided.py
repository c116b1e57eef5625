"""What guides a fused image and what it was fused from say of it: QNR and HQNR, which need no reference.

Shapes: B batch, C channels, H and W of the restored image and its guide, h and w of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from models.guides.matching import seen_coarsely
from pipeline.metrics import pansharpening, valid
from pipeline.metrics.base import ALL_CHANNELS, MetricInputs, MetricProtocol

_SIDE = 8
_RANGE = "none: ratios; zero is data_low of image and guide"
_SPATIAL = (
    "D_s mean over bands of |Q(fused, guide) - Q(input, guide as a sensor with the input's pixels and an MTF "
    "of 0.3 sees it)|; a guide of several bands counts as the mean of them"
)


@dataclass(frozen=True)
class Qnr:
    """Quality with no reference: of bands among each other, and with the guide."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="qnr",
        formula=(
            "(1 - D_lambda) (1 - D_s), D_lambda mean over pairs of bands of |Q(fused) - Q(input)| with the "
            f"universal quality index Q; {_SPATIAL}"
        ),
        colour=ALL_CHANNELS,
        border="0",
        data_range=_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Alparone et al., PE&RS 74(2), 2008",
        window="uniform 8 x 8, at the size of either image",
        minimum_size=_SIDE,
        fewest_bands=2,
        pair=MetricInputs.GUIDED,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the images are those of ``MetricInputs.GUIDED``."""
        fused, low, guide, low_guide, known_B1hw = _parts(restored_BCHW, reference_BCHW, valid_B1HW)
        spectral_B = pansharpening.spectral_distortion(fused, low, valid_B1HW, known_B1hw)
        spatial_B = pansharpening.spatial_distortion(fused, low, guide, low_guide, valid_B1HW, known_B1hw)
        return pansharpening.qnr(spectral_B, spatial_B)


@dataclass(frozen=True)
class Hqnr:
    """The same with consistency in place of what bands are among each other."""

    protocol: ClassVar[MetricProtocol] = MetricProtocol(
        name="hqnr",
        formula=(
            "(1 - D_lambda_K) (1 - D_s), D_lambda_K 1 - Q2n(fused as a sensor with the input's pixels and an "
            f"MTF of 0.3 sees it, input); {_SPATIAL}"
        ),
        colour=ALL_CHANNELS,
        border="0",
        data_range=_RANGE,
        unit="1",
        higher_is_better=True,
        best=1.0,
        source="Khan et al., IEEE TGRS 47(11), 2009; Vivone et al., IEEE GRSM 9(1), 2021",
        window="uniform 8 x 8, at the size of either image",
        minimum_size=_SIDE,
        pair=MetricInputs.GUIDED,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; the images are those of ``MetricInputs.GUIDED``."""
        fused, low, guide, low_guide, known_B1hw = _parts(restored_BCHW, reference_BCHW, valid_B1HW)
        again = seen_coarsely(fused, fused.shape[-1] // low.shape[-1])
        consistency_B = pansharpening.consistency_distortion(again, low, known_B1hw)
        spatial_B = pansharpening.spatial_distortion(fused, low, guide, low_guide, valid_B1HW, known_B1hw)
        return pansharpening.qnr(consistency_B, spatial_B)


def _parts(
    restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    """Fused image, input, guide, guide at the input's size, and the input's valid pixels."""
    scale = restored_BCHW.shape[-1] // reference_BCHW.shape[-1]
    known_B1hw = None
    if valid_B1HW is not None:
        known_B1hw = -F.max_pool2d(-valid_B1HW.float(), scale) == 1
    fused_BCHW = valid.blanked(restored_BCHW, valid_B1HW)
    low_BChw = valid.blanked(reference_BCHW, known_B1hw)
    guide_B1HW, low_guide_B1hw = (each[:, -1:] for each in (fused_BCHW, low_BChw))
    return fused_BCHW[:, :-1], low_BChw[:, :-1], guide_B1HW, low_guide_B1hw, known_B1hw
