"""Distances between two sets of images, on features of EfficientNet-Lite0. Never called FID or KID.

``python -m pipeline.distances RESTORED REFERENCE`` compares two folders. Their features cannot be held
beside anyone's published FID or KID, which rest on another network: compare only with each other.
"""

from __future__ import annotations

from pipeline.distances.frechet import frechet_distance
from pipeline.distances.kernel import kernel_distance
from pipeline.distances.summary import FeatureSummary

__all__ = ["FeatureSummary", "frechet_distance", "kernel_distance"]
