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
    factor_DR = _factor(first_DD)
    # C_a C_b = L L' C_b and L' C_b L have the same eigenvalues but for zeros, and the latter is symmetric.
    product_RR = factor_DR.T @ second_DD @ factor_DR
    eigenvalues_R = torch.linalg.eigvalsh((product_RR + product_RR.T) / 2).clamp_min(0)
    spread = first_DD.trace() + second_DD.trace() - 2 * eigenvalues_R.sqrt().sum()
    return max(0.0, float((a.mean() - b.mean()).square().sum() + spread))


def _factor(covariance_DD: Tensor) -> Tensor:
    """``L`` with ``L L' = C``, by Cholesky with pivots: as many columns as ``C`` has rank.

    Of few images that is far less than an eigenvalue for every feature, of many a third of the work; and
    directions that only rounding has are left out.
    """
    from scipy.linalg.lapack import dpstrf  # here, for the start of runs that ask for no distance

    factor_DD, pivot_D, rank, _ = dpstrf(covariance_DD.numpy(), lower=1)
    factor_DR = torch.from_numpy(factor_DD).tril()[:, :rank]
    out_DR = torch.empty_like(factor_DR)
    out_DR[torch.from_numpy(pivot_D).long() - 1] = factor_DR
    return out_DR
