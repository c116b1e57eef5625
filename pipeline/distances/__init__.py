"""Distances between two sets of images, on features of EfficientNet-Lite0. Never called FID or KID.

``python -m pipeline.distances RESTORED REFERENCE`` compares two folders. Their features cannot be held
beside anyone's published FID or KID, which rest on another network: compare only with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.distances.frechet import frechet_distance
from pipeline.distances.kernel import kernel_distance
from pipeline.distances.summary import FeatureSummary

__all__ = ["DISTANCES", "Distance", "FeatureSummary", "frechet_distance", "kernel_distance"]


@dataclass(frozen=True)
class Distance:
    """A number for two sets of images, and how it is made."""

    function: Callable[[FeatureSummary, FeatureSummary], float]
    formula: str
    source: str
    version: int = 1


_FEATURES = (
    "on what the last pooling of EfficientNet-Lite0 (ImageNet-1k) gives, images resized to 224 x 224 by "
    "MATLAB's bicubic and clipped; never to be held beside FID or KID, which rest on another network"
)

DISTANCES: dict[str, Distance] = {
    "frechet_lite0": Distance(
        frechet_distance,
        f"|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), {_FEATURES}; biased upwards below 1280 images",
        "Heusel et al., NeurIPS 2017, section 3",
    ),
    "kernel_lite0": Distance(
        kernel_distance,
        f"unbiased squared maximum mean discrepancy with the kernel (x . y / D + 1)^3, {_FEATURES}",
        "Binkowski et al., ICLR 2018; Gretton et al., JMLR 13, 2012, eq. 3",
    ),
}
"""By the name that a job gives them. Lower is better; 0 for the same set."""
