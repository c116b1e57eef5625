"""How far a restored image is from the truth, estimated from the noisy image alone: Stein's unbiased risk.

Stein 1981, "Estimation of the mean of a multivariate normal distribution"; the divergence by one random
perturbation: Ramani, Blu and Unser 2008, "Monte-Carlo SURE".

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

STEP = 0.1
"""Length of the perturbation in standard deviations of the noise: shorter ones drown in float32's rounding,
longer ones leave what the network does near the image."""


def estimate_risk(
    restore: Callable[[Tensor], Tensor],
    noisy_BCHW: Tensor,
    restored_BCHW: Tensor,
    variance: Tensor,
    rng: Generator,
    step: float = STEP,
) -> Tensor:
    """B, float64: the mean squared error of ``restored_BCHW = restore(noisy_BCHW)``; may fall below 0.

    ``variance`` is that of the noise, known and independent from sample to sample: B111 where it is the same
    everywhere, or BCHW. Unbiased for Gaussian noise, whatever ``restore`` does, as long as it is told nothing
    that was estimated from this image. For sensors, ``gain noisy + sigma^2`` stands for the variance
    (``sensor_variance``). Costs one more call of ``restore``. An image of n samples is off by about
    ``variance sqrt(2 / n)``, much for small images of strong noise: 15 % of the risk for FFDNet at 50/255
    on 128 x 128 pixels.
    """
    noisy, restored = noisy_BCHW.double(), restored_BCHW.double()
    variance_BCHW = variance.double().expand_as(noisy)
    length_B111 = step * variance_BCHW.mean(dim=(1, 2, 3), keepdim=True).sqrt()
    direction = torch.randn(noisy.shape, generator=rng, dtype=torch.float64).to(noisy.device)
    moved = restore((noisy + length_B111 * direction).to(noisy_BCHW)).double()
    slope = direction * (moved - restored) / length_B111
    risk = (restored - noisy).square() - variance_BCHW + 2 * variance_BCHW * slope
    # Without noise the input is the truth, and nothing is to be estimated.
    still = (length_B111 == 0).expand_as(risk)
    return torch.where(still, (restored - noisy).square(), risk).mean(dim=(1, 2, 3))


def sensor_variance(noisy_BCHW: Tensor, gain: float, sigma: float) -> Tensor:
    """BCHW: of ``gain Poisson(x / gain) + sigma n``, at the noisy value for the true one, and never below 0.

    Unbiased as a variance; in ``estimate_risk`` a term of the order of ``gain`` is left out (Le Montagner,
    Angelini and Olivo-Marin 2014, "An unbiased risk estimator for image denoising in the presence of mixed
    Poisson-Gaussian noise").
    """
    return (gain * noisy_BCHW + sigma**2).clamp_min(0)
