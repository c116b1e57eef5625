"""What a parameter may be, in words, and what is refused."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest

from models.parameters import (
    Checked,
    Odd,
    PowerOfTwo,
    Range,
    Words,
    choice,
    flag,
    number,
    odd,
    require,
    whole,
)


@dataclass(frozen=True)
class Probe(Checked):
    name: ClassVar[str] = "probe"

    sigma: float = number(low=0, high=100, above=True)
    gain: float | tuple[float, ...] = number(0.5, 0, 1, per_band=True)
    weight: float | None = number(None, 1e-6, 1000)
    steps: int = whole(8, 1)
    size: int | None = odd(None)
    border: str = choice("symmetric", "circular")
    grey: bool = flag(False)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sigma", 0, "probe: sigma must be a number above 0, up to 100; got 0"),
        ("sigma", math.nan, "got nan"),
        ("sigma", True, "got True"),
        ("gain", 1.5, "probe: gain must be a number from 0 to 1, or one per band; got 1.5"),
        ("gain", (0.1, -1), "got (0.1, -1)"),
        ("gain", (), "got ()"),
        ("weight", 0, "weight must be a number from 1e-06 to 1000, or nothing; got 0"),
        ("steps", 0, "probe: steps must be a whole number of 1 or more, got 0"),
        ("steps", 2.0, "got 2.0"),
        ("size", 4, "must be an odd whole number of 1 or more, so that there is a centre, or nothing; got 4"),
        ("border", "zeros", "border must be one of symmetric, circular; got 'zeros'"),
        ("grey", 1, "grey must be true or false, got 1"),
    ],
)
def test_declared_fields_are_checked_when_one_is_made(field, value, message):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # the text is what is tested
        Probe(**{"sigma": 1, field: value})
    assert message in str(refused.value)


def test_what_is_allowed_is_taken_as_it_is():
    probe = Probe(sigma=100, gain=(0, 1.0), weight=None, size=3)
    assert (probe.sigma, probe.gain, probe.weight, probe.steps) == (100, (0, 1.0), None, 8)
    assert isinstance(probe.sigma, int)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [
        (Range(0), [0, 7.5, 10**400], [-1, math.inf, "1", None]),
        (Range(0, 1, below=True), [0, 0.999], [1, 1.0]),
        (Range(1, whole=True), [1, 10**20], [0, 1.0, True]),
        (Odd(), [1, 7], [2, -1, 3.0]),
        (PowerOfTwo(4), [4, 1024], [2, 12, 4.0]),
        (Words((1, 2, 4)), [1, 4], [3, "1"]),
    ],
)
def test_rules(allowed, inside, outside):
    for value in inside:
        require("owner", allowed, field=value)
    for value in outside:
        with pytest.raises(ValueError, match="owner: field must be "):
            require("owner", allowed, field=value)
