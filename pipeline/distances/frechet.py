"""Frechet distance between the Gaussians of two sets of features.

Dowson and Landau, J. Multivariate Analysis 12, 1982; used on images by Heusel et al., NeurIPS 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.distances.summary import FeatureSummary


def frechet_distance(a: FeatureSummary, b: FeatureSummary) -> float:
    """``|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))``; 0 for the same set, never less.

    It is biased upwards where there are few images: compare only at equal numbers, best above 1280.
    ``ValueError`` for fewer than two images in a set.
    """
    first_DD, second_DD = a.covariance(), b.covariance()
    root_DD = _root(first_DD)
    # C_a C_b and C_a^(1/2) C_b C_a^(1/2) have the same eigenvalues, and the latter is symmetric.
    product_DD = root_DD @ second_DD @ root_DD
    eigenvalues_D = torch.linalg.eigvalsh((product_DD + product_DD.T) / 2).clamp_min(0)
    spread = first_DD.trace() + second_DD.trace() - 2 * eigenvalues_D.sqrt().sum()
    return max(0.0, float((a.mean() - b.mean()).square().sum() + spread))


def _root(covariance_DD: Tensor) -> Tensor:
    """The symmetric square root; rounding leaves small negative eigenvalues where images are few."""
    value_D, vector_DD = torch.linalg.eigh(covariance_DD)
    root_DD: Tensor = (vector_DD * value_D.clamp_min(0).sqrt()) @ vector_DD.T
    return root_DD
