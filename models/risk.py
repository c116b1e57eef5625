"""How far a restored image is from the truth, estimated from the noisy image alone.

Stein 1981, "Estimation of the mean of a multivariate normal distribution"; the divergence by one random
perturbation: Ramani, Blu and Unser 2008, "Monte-Carlo SURE". For the best denoiser there is, noise level
squared times divergence is the error that is left: Efron 2011, "Tweedie's formula and selection bias"; Manor
and Michaeli 2024, "On the posterior distribution in denoising: application to uncertainty quantification".

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.uncensored import Uncensored

STEP = 0.1
"""Length of the perturbation in standard deviations of the noise: shorter ones drown in float32's rounding,
longer ones leave what the network does near the image."""
_ROOT = math.sqrt(2 * math.pi)
_STEPS = 4


@dataclass(frozen=True)
class Risk:
    """The two parts of Stein's estimate, both (B,) float64."""

    excess_B: Tensor
    """Mean squared difference of the restored and the noisy image, less the variance of the noise."""
    spread_B: Tensor
    """Mean of variance times divergence: what is left of the noise, as the restorer's slopes say."""

    @property
    def unbiased(self) -> Tensor:
        """B: Stein's estimate of the mean squared error, whatever the restorer; may fall below 0."""
        return self.excess_B + 2 * self.spread_B

    @property
    def posterior(self) -> Tensor:
        """B: the mean squared error of a restorer that gives the mean of all images that the input may be.

        Such a restorer leaves ``excess = -spread`` on average, so this is Stein's estimate for it, but for
        what the noise of this one image adds; and a noise level that is 1 % too high makes it 2 % too
        large, where Stein's estimate is off by 2 % of the whole noise. For other restorers it is biased.
        """
        return self.spread_B


@dataclass(frozen=True)
class Probe:
    """What a restorer does to a small random step, both float64; their product is its slope on average."""

    direction_BCHW: Tensor
    """Independent numbers of mean 0 and variance 1."""
    response_BCHW: Tensor
    """Change of the restored image for each unit of the step's length."""


@dataclass(frozen=True)
class RiskMaps:
    """The two parts of Stein's estimate pixel by pixel, float64, and the variance of the noise there."""

    excess_BCHW: Tensor
    spread_BCHW: Tensor
    variance_BCHW: Tensor
    clear_BCHW: Tensor | None = None
    """The first part where the noise was cut off, without a guess of the truth (``models.uncensored``)."""
    clear_chance_BCHW: Tensor | None = None
    """Its variance by chance."""

    def mean(self, valid_B1HW: Tensor | None = None) -> Risk:
        """Over valid pixels; NaN where none is."""
        return Risk(_mean(self.excess_BCHW, valid_B1HW), _mean(self.spread_BCHW, valid_B1HW))


def risk_of(
    restore: Callable[[Tensor], Tensor],
    noisy_BCHW: Tensor,
    restored_BCHW: Tensor,
    variance: Tensor,
    direction_BCHW: Tensor,
    *,
    square: Tensor | None = None,
    bias: Tensor | None = None,
    truth: Uncensored | None = None,
    step: float = STEP,
) -> RiskMaps:
    """Of ``restored_BCHW = restore(noisy_BCHW)``.

    ``variance`` is that of the noise, independent from sample to sample: B111 where it is the same
    everywhere, or BCHW; ``square`` the mean of its square about the truth where that is more, and ``bias``
    how far its mean is off zero there, which a restorer leaves as it is. Independent numbers of mean 0 and
    variance 1 are in ``direction_BCHW``; what ``uncensored`` gives is ``truth``. Costs one more call of
    ``restore``.
    """
    length_B111 = step * variance.double().expand_as(noisy_BCHW).mean(dim=(1, 2, 3), keepdim=True).sqrt()
    probe = probed(restore, noisy_BCHW, restored_BCHW, length_B111, direction_BCHW)
    return risk_by(probe, noisy_BCHW, restored_BCHW, variance, square=square, bias=bias, truth=truth)


def probed(
    restore: Callable[[Tensor], Tensor],
    noisy_BCHW: Tensor,
    restored_BCHW: Tensor,
    length_B111: Tensor,
    direction_BCHW: Tensor,
) -> Probe:
    """The restorer's answer to a step of this length, by one more call of ``restore``."""
    noisy, restored = noisy_BCHW.double(), restored_BCHW.double()
    direction, length = direction_BCHW.to(noisy), length_B111.to(noisy)
    moved = restore((noisy + length * direction).to(noisy_BCHW)).double()
    response = (moved - restored) / length
    # Without noise the input is the truth, and nothing is to be estimated.
    return Probe(direction, torch.where(length == 0, torch.zeros_like(response), response))


def risk_by(
    probe: Probe,
    noisy_BCHW: Tensor,
    restored_BCHW: Tensor,
    variance: Tensor,
    *,
    square: Tensor | None = None,
    bias: Tensor | None = None,
    truth: Uncensored | None = None,
) -> RiskMaps:
    """As ``risk_of``, of a restorer that was probed."""
    noisy, restored = noisy_BCHW.double(), restored_BCHW.double()
    variance_BCHW = variance.double().expand_as(noisy)
    slope = probe.direction_BCHW * probe.response_BCHW
    spread = variance_BCHW * slope
    if bias is not None:
        spread = spread + bias.double().square()
    excess = (restored - noisy).square() - (variance_BCHW if square is None else square.double())
    if truth is None:
        return RiskMaps(excess, spread, variance_BCHW)
    clear = restored.square() - 2 * restored * truth.value_BCHW + truth.square_BCHW
    # Twice the spread is added to it, in which there are a bias and a variance that are not its own.
    clear = clear + 2 * (truth.covariance_BCHW * slope - spread)
    return RiskMaps(excess, spread, variance_BCHW, clear, truth.chance_BCHW)


def estimate_risk(
    restore: Callable[[Tensor], Tensor],
    noisy_BCHW: Tensor,
    restored_BCHW: Tensor,
    variance: Tensor,
    rng: Generator,
    step: float = STEP,
) -> Tensor:
    """B, float64: the mean squared error of ``restored_BCHW = restore(noisy_BCHW)``; may fall below 0.

    Arguments as ``risk_of``. Unbiased for Gaussian noise, whatever ``restore`` does, as long as it is told
    nothing that was estimated from this image. For sensors, ``gain noisy + sigma^2`` stands for the variance
    (``sensor_variance``). An image of n samples is off by about ``variance sqrt(2 / n)``, much for small
    images of strong noise: 15 % of the risk for FFDNet at 50/255 on 128 x 128 pixels.
    """
    direction = torch.randn(noisy_BCHW.shape, generator=rng, dtype=torch.float64).to(noisy_BCHW.device)
    return risk_of(restore, noisy_BCHW, restored_BCHW, variance, direction, step=step).mean().unbiased


def sensor_variance(noisy_BCHW: Tensor, gain: float | Tensor, sigma: float | Tensor) -> Tensor:
    """BCHW: of ``gain Poisson(x / gain) + sigma n``, at the noisy value for the true one, and never below 0.

    Unbiased as a variance; in ``estimate_risk`` a term of the order of ``gain`` is left out (Le Montagner,
    Angelini and Olivo-Marin 2014, "An unbiased risk estimator for image denoising in the presence of mixed
    Poisson-Gaussian noise").
    """
    return (gain * noisy_BCHW + sigma**2).clamp_min(0)


def cut_moments(image_BCHW: Tensor, level_B111: Tensor) -> tuple[Tensor, Tensor]:
    """Variance, and mean square about the truth, of Gaussian noise that is cut off at 0 and 1: both BCHW.

    Moments of a normal variable censored at both ends (Greene 2003, "Econometric analysis", section 22.3).
    A level of 0 gives 0.
    """
    image_BCHW = image_BCHW.clamp(0, 1)
    level = level_B111.clamp_min(1e-12)
    low, high = -image_BCHW / level, (1 - image_BCHW) / level
    below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
    density_low, density_high = (torch.exp(-each.square() / 2) / _ROOT for each in (low, high))
    inside = 1 - below - above
    mean = level * (density_low - density_high + low * below + high * above)
    square = level.square() * (
        inside + low * density_low - high * density_high + low.square() * below + high.square() * above
    )
    return (square - mean.square()).clamp_min(0), square


def uncut(mean_BCHW: Tensor, level_B111: Tensor) -> Tensor:
    """BCHW in [0, 1]: the image whose mean under noise that is cut off at 0 and 1 this is, by Newton's steps.

    A restorer that was not told of the cut gives that mean: brighter than the truth near 0, darker near 1.
    """
    mean_BCHW = mean_BCHW.clamp(0, 1)
    level = level_B111.clamp_min(1e-12)
    truth = mean_BCHW
    for _ in range(_STEPS):
        low, high = -truth / level, (1 - truth) / level
        below, above = torch.special.ndtr(low), torch.special.ndtr(-high)
        density = (torch.exp(-low.square() / 2) - torch.exp(-high.square() / 2)) / _ROOT
        found = truth + level * (density + low * below + high * above)
        # The slope is at least a half while the level is small beside the range.
        truth = (truth - (found - mean_BCHW) / (1 - below - above).clamp_min(0.1)).clamp(0, 1)
    return truth


def _mean(each_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
    if valid_B1HW is None:
        return each_BCHW.mean(dim=(1, 2, 3))
    kept_BCHW = torch.where(valid_B1HW, each_BCHW, 0.0)
    count_B = valid_B1HW.sum(dim=(1, 2, 3)) * each_BCHW.shape[1]
    return kept_BCHW.sum(dim=(1, 2, 3)) / count_B
