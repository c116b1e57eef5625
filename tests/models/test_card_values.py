"""Cards with values that no restorer can have are refused by field."""

import pytest

from models.card import Card

GOOD = {"name": "a", "summary": "Does.", "task": "denoising"}
BAD = [
    *(("halo", value) for value in (-1, 1.5, True, "8", 10**9)),
    *(("scale", value) for value in (0, -2, 2.0, 10**6)),
    *(("channels", value) for value in (0, "rgb")),
    *(("multiple_of", value) for value in (0, None, 10**9)),
    *(("minimum_size", value) for value in (-5, None)),
    *(("value_range", value) for value in ((1, 0), (0, float("nan")), (0, float("inf")), (0,), 5)),
    ("value_range", ("a", "b")),
    *(("needs", value) for value in (5, "scale", ("colour",))),
    *(("precisions", value) for value in (None, ("float8",))),
    ("tile_exact", "yes"),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_an_absurd_value_is_refused_by_its_field(field, value):
    with pytest.raises(ValueError, match=field.removesuffix("s")):
        Card(**GOOD, **{field: value})


@pytest.mark.parametrize("fields", [{}, {"halo": None}, {"scale": None, "channels": 3}, {"halo": 0}])
def test_sound_values_are_taken(fields):
    assert Card(**GOOD, **fields).name == "a"
