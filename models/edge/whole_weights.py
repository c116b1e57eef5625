"""Weights of whole steps, whose errors cancel on what their layer sees.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR
2023: they are rounded one by one, and each error is made good by those that are left.

Shapes: O filters, K weights of a filter; I inputs, h and w sides of a kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor

WEIGHT_STEPS = 127
"""Of a weight, on each side of zero."""
PAIR_STEPS = 128
"""Of two that are partners, on each side of zero. Processors without VNNI add their two products in 16 bits,
which with features of 255 is as much as there is room for; so weights have all of their 8 bits, but for the
partners of large ones."""
_DAMPING = 3e-3
"""Of the mean square of what a weight sees: keeps what is rounded near the weights."""
_BLOCK = 96


def partners_of(weights_OIhw: Tensor) -> Tensor:
    """K: for each weight of a filter the one whose product is added to its own first; itself where none is.

    onnxruntime has the channels of a place in the kernel side by side, and takes two and two.
    """
    _, inner, height, width = weights_OIhw.shape
    as_added_K = torch.arange(inner * height * width).view(inner, height, width).permute(1, 2, 0).flatten()
    partners_K = torch.arange(len(as_added_K))
    first_P, second_P = as_added_K[: len(as_added_K) // 2 * 2].view(-1, 2).unbind(1)
    partners_K[first_P], partners_K[second_P] = second_P, first_P
    return partners_K


def least_error_steps(weights_OK: Tensor, partners_K: Tensor) -> Tensor:
    """O: for each filter the step whose errors are least: of rounding, and of cutting its largest weights and
    partners that are large together. The largest step cuts none."""
    largest_O = weights_OK.abs().amax(1).clamp_min(1e-12) / WEIGHT_STEPS
    steps_SO = torch.linspace(0.6, 2, 57, dtype=torch.float64)[:, None] * largest_O
    steps_SO1 = steps_SO[..., None]
    whole_SOK = (weights_OK / steps_SO1).round().clamp(-WEIGHT_STEPS, WEIGHT_STEPS)
    beside_SOK = whole_SOK[..., partners_K]
    is_paired_K = partners_K != torch.arange(len(partners_K))
    is_paired_SOK = (whole_SOK * beside_SOK > 0) & is_paired_K
    excess_SOK = ((whole_SOK + beside_SOK).abs() - PAIR_STEPS).clamp(min=0) * is_paired_SOK
    missed_SOK = (whole_SOK * steps_SO1 - weights_OK).square() + (excess_SOK * steps_SO1).square() / 2
    best_O = missed_SOK.sum(-1).argmin(0)
    # As float32 has it, in which the file says it.
    return steps_SO.gather(0, best_O[None])[0].float().double()


def cancelling(weights_OK: Tensor, spread_KK: Tensor, steps_O: Tensor, partners_K: Tensor) -> Tensor:
    """OK: multiples of the steps; what weighs most is rounded first, the others take over what is missed.

    ``spread_KK`` are the products of what the weights see. The second of two partners is cut where both
    together would have too many steps.
    """
    order_K = spread_KK.diagonal().argsort(descending=True)
    place_K = order_K.argsort()
    partners_K = place_K[partners_K[order_K]]
    left_OK, spread_KK = weights_OK[:, order_K].clone(), spread_KK[order_K][:, order_K].clone()
    spread_KK += torch.eye(len(spread_KK), dtype=torch.float64) * (_DAMPING * spread_KK.diagonal().mean())
    spread_KK += torch.eye(len(spread_KK), dtype=torch.float64) * 1e-9  # of features that are always zero
    inverse_KK = torch.cholesky_inverse(torch.linalg.cholesky(spread_KK))
    upper_KK = torch.linalg.cholesky(inverse_KK, upper=True)
    whole_OK = torch.zeros_like(left_OK)
    for start in range(0, len(order_K), _BLOCK):
        stop = min(start + _BLOCK, len(order_K))
        missed = torch.empty_like(left_OK[:, start:stop])
        for k in range(start, stop):
            whole_OK[:, k] = _beside(left_OK[:, k] / steps_O, whole_OK[:, partners_K[k]] / steps_O) * steps_O
            missed[:, k - start] = (left_OK[:, k] - whole_OK[:, k]) / upper_KK[k, k]
            left_OK[:, k:stop] -= missed[:, k - start, None] * upper_KK[k, k:stop]
        left_OK[:, stop:] -= missed @ upper_KK[start:stop, stop:]
    return whole_OK[:, place_K]


def _beside(steps_taken_O: Tensor, of_partner_O: Tensor) -> Tensor:
    """Whole, and no more than the partner leaves; that is zero as long as it has not been rounded."""
    least_O = (-PAIR_STEPS - of_partner_O.clamp(max=0).round()).clamp(min=-WEIGHT_STEPS)
    most_O = (PAIR_STEPS - of_partner_O.clamp(min=0).round()).clamp(max=WEIGHT_STEPS)
    return steps_taken_O.round().clamp(least_O, most_O)
