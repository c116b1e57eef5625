"""Risk-controlling scales: the bounds by their formulas, and what they promise over many calibrations."""

import math

import numpy as np
import pytest

from pipeline.results.risk_control import fewest_images, losses, p_value, smallest_scale

SHARES = (*(step / 100 for step in range(31)), 1.0)


def drawn(images, rng):
    """Ratios of images of which each has errors of its own size: exponential ones."""
    size_N = rng.gamma(4.0, 0.25, images)
    shares = np.maximum(np.asarray(SHARES), 1e-4)
    ratios_NS = -np.log(shares) * size_N[:, None]
    ratios_NS[:, -1] = 0
    return ratios_NS, size_N


def test_the_bound_is_the_smaller_of_hoeffding_and_bentkus():
    # n = 50, 2 % lost, alpha = 0.1: both written out.
    mean, n, alpha = 0.02, 50, 0.1
    hoeffding = math.exp(
        -n * (mean * math.log(mean / alpha) + (1 - mean) * math.log((1 - mean) / (1 - alpha)))
    )
    bentkus = math.e * sum(math.comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(2))
    assert p_value(mean, n, alpha) == pytest.approx(min(hoeffding, bentkus), rel=1e-12)
    assert p_value(0.0, 22, 0.1) <= 0.1 < p_value(0.0, 21, 0.1)
    assert fewest_images(0.1, 0.1) == 29
    assert p_value(0.5, 100, 0.1) == 1.0


def test_the_share_missed_is_bounded_in_most_calibrations():
    rng, within, tight = np.random.default_rng(3), [], []
    for _ in range(40):
        ratios_NS, _ = drawn(60, rng)
        scale = smallest_scale(ratios_NS, SHARES, np.arange(60), 0.1, 0.1)
        # The mean of exp(-scale / size) over sizes that follow a gamma law, by a large sample.
        risk = np.exp(-scale / rng.gamma(4.0, 0.25, 20_000)).mean()
        within.append(risk <= 0.1)
        tight.append(risk)
    assert np.mean(within) >= 0.9
    assert np.mean(tight) > 0.03  # 0.024 by Hoeffding and Bentkus alone


def test_rows_of_one_image_count_as_one():
    ratios_NS, _ = drawn(30, np.random.default_rng(1))
    once = smallest_scale(ratios_NS, SHARES, np.arange(30), 0.1, 0.1)
    thrice = smallest_scale(np.repeat(ratios_NS, 3, axis=0), SHARES, np.repeat(np.arange(30), 3), 0.1, 0.1)
    assert once == thrice
    assert len(losses(once, np.repeat(ratios_NS, 3, axis=0), SHARES, np.repeat(np.arange(30), 3))) == 30


def test_too_few_images_are_refused():
    ratios_NS, _ = drawn(28, np.random.default_rng(1))
    with pytest.raises(ValueError, match="calibrate with 29 or more"):
        smallest_scale(ratios_NS, SHARES, np.arange(28), 0.1, 0.1)
