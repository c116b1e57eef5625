"""Split conformal bounds: the rank by hand, and the promised coverage over many calibrations."""

import numpy as np
import pytest

from pipeline.results.conformal import fewest, lower_offset


def test_the_offset_is_the_rank_that_the_theorem_says():
    estimates = [30.0] * 19
    truths = [30.0 + margin for margin in range(-9, 10)]
    assert lower_offset(truths, estimates, 0.9) == -8.0  # floor(0.1 * 20) = 2: the second smallest
    assert lower_offset(truths, estimates, 0.95) == -9.0
    assert lower_offset(truths[:9], estimates[:9], 0.9) == -9.0  # floor(0.1 * 10) = 1


@pytest.mark.parametrize(("level", "count"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1), (0.8, 4)])
def test_fewer_images_than_the_level_needs_are_refused(level, count):
    assert fewest(level) == count
    assert np.isfinite(lower_offset([1.0] * count, [0.0] * count, level))
    if count > 1:
        with pytest.raises(ValueError, match=f"calibrate with {count} or more"):
            lower_offset([1.0] * (count - 1), [0.0] * (count - 1), level)


@pytest.mark.parametrize("count", [9, 20, 50])
def test_coverage_is_what_was_promised_for_any_distribution(count):
    rng, level, rounds = np.random.default_rng(count), 0.9, 4000
    covered = 0
    for _ in range(rounds):
        margins = rng.standard_cauchy(count + 1) ** 3
        covered += margins[-1] >= lower_offset(margins[:-1], np.zeros(count), level)
    # Exactly 1 - k / (n + 1), within four standard deviations of counting.
    exact = 1 - np.floor(round(0.1 * (count + 1), 9)) / (count + 1)
    assert exact >= level
    assert covered / rounds == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / rounds))


@pytest.mark.parametrize("level", [0.0, 1.0, -1, float("nan")])
def test_levels_outside_are_refused(level):
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        lower_offset([1.0] * 50, [0.0] * 50, level)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="needs finite values"):
        lower_offset([float("inf")] + [1.0] * 50, [0.0] * 51, 0.9)


def test_rows_of_one_image_are_no_more_images():
    """Fourteen images of three rows that err alike: as 42 rows they would cover 0.87 of new images."""
    rng, images, rounds = np.random.default_rng(0), np.repeat(np.arange(14), 3), 3000
    as_images, as_rows = 0, 0
    for _ in range(rounds):
        *margins, new = rng.normal(size=15)
        rows = np.repeat(margins, 3)
        order = rng.permutation(len(rows))
        as_images += new >= lower_offset(rows[order], np.zeros(len(rows)), 0.9, images[order])
        as_rows += new >= lower_offset(rows, np.zeros(len(rows)), 0.9)
    assert as_images / rounds == pytest.approx(14 / 15, abs=0.02)
    assert as_rows / rounds == pytest.approx(13 / 15, abs=0.02)


def test_images_of_unlike_many_rows_count_alike():
    margins = [0.0] * 30 + [float(each) for each in range(1, 20)]
    images = [0] * 30 + list(range(1, 20))
    # Of 20 images floor(0.1 * 21) = 2 may lie below with the new one: the first in 30 rows, and no other.
    assert lower_offset(margins, [0.0] * 49, 0.9, images) == 1.0
    assert lower_offset(margins, [0.0] * 49, 0.9) == 0.0
    with pytest.raises(ValueError, match="8 images cannot warrant"):
        lower_offset(margins[:37], [0.0] * 37, 0.9, images[:37])
