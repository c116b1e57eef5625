"""Which of two validations is better, whatever was scored."""

import pytest

from pipeline.training.restorer_validation import Score, Validated


@pytest.mark.parametrize(
    ("metric", "better", "worse"), [("psnr", 30.0, 20.0), ("mae", 0.1, 0.2), ("frechet_lite0", 10.0, 40.0)]
)
def test_the_better_one_has_more_merit(metric, better, worse):
    first, second = (Validated((Score("any", metric, (value,), ()),)) for value in (better, worse))
    assert first.merit > second.merit
    assert Validated().merit is None
