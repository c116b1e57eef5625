"""The card: what a caller must know of a restorer before calling it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Self

TASKS = ("super-resolution", "denoising", "deblurring", "inpainting", "artefact-removal", "general")
CONDITIONS = ("scale", "noise_level", "mask", "operators", "frames", "place", "guide")
PRECISIONS = ("float32", "bfloat16", "float16")

_WHOLE_NUMBERS = {
    "scale": (1, 64, True),
    "channels": (1, 65_536, True),
    "multiple_of": (1, 4_096, False),
    "minimum_size": (1, 65_536, False),
    "halo": (0, 65_536, True),
}
"""Field -> least and greatest value, and whether it may be ``None``: beyond, no image could be worked on."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Facts about one restorer. Everything that pads, tiles, batches or reports reads them from here.

    Raises ``ValueError`` naming the field, its value and what is allowed.
    """

    name: str
    """The name in the catalog, or the stem of the weights' file."""
    summary: str
    """One sentence: what it does and where it comes from."""
    task: str
    """One of ``TASKS``."""
    scale: int | None = 1
    """Output side / input side; ``None`` takes the scale from the condition (interpolation does)."""
    channels: int | None = None
    """Channels of one call; ``None`` takes any number."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """The range the network was trained on; callers always pass and receive [0, 1]."""
    multiple_of: int = 1
    """Height and width must be multiples of this; the restorer pads and crops."""
    minimum_size: int = 1
    """Smallest height or width the restorer can work on, after padding."""
    halo: int | None = 0
    """Receptive-field radius in input pixels; ``None`` where every pixel can matter."""
    tile_exact: bool = True
    """Whether a tile with its halo gives the very pixels of the whole image."""
    precisions: tuple[str, ...] = ("float32",)
    """Floating-point types that were measured to be safe, best first."""
    needs: tuple[str, ...] = ()
    """Conditions it cannot work without, out of ``CONDITIONS``."""
    takes: tuple[str, ...] = ()
    """Conditions it makes use of where they are given, beside those it needs."""
    architecture: str = ""
    """Name of the network or solver, as in ``models.networks`` or ``models.solvers``."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """What the architecture is built with."""
    weights_sha256: str = ""
    """SHA-256 of the weights' file; empty for solvers."""
    licence: str = "Apache-2.0"
    """SPDX expression of the weights or code."""
    source: str = ""
    """Paper and section, or where the weights of others come from."""
    training: dict[str, Any] = field(default_factory=dict)
    """Protocol, data, hardware, duration and validation scores of the weights."""

    def __post_init__(self) -> None:
        _one_of("task", self.task, TASKS)
        for name in ("needs", "takes", "precisions"):
            if not isinstance(getattr(self, name), list | tuple):
                raise ValueError(f"card {self.name!r}: {name} must be a list, got {getattr(self, name)!r}")
        for name in ("needs", "takes"):
            for condition in getattr(self, name):
                _one_of(name, condition, CONDITIONS)
        for precision in self.precisions:
            _one_of("precisions", precision, PRECISIONS)
        for name, (least, most, may_be_none) in _WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if not (value is None and may_be_none) and not _is_within(value, least, most):
                raise ValueError(
                    f"card {self.name!r}: {name} must be a whole number, {least} to {most:,}, got {value!r}"
                )
        if not isinstance(self.tile_exact, bool):
            raise ValueError(f"card {self.name!r}: tile_exact must be true or false, got {self.tile_exact!r}")
        if not _is_range(self.value_range):
            raise ValueError(f"card {self.name!r}: value_range must be (low, high), got {self.value_range!r}")

    @property
    def inverts_operators(self) -> bool:
        """Whether it goes by the operators of the degradation: it must be told those of this very image."""
        return "operators" in (*self.needs, *self.takes)

    def to_json(self) -> str:
        """The card as one line of JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """A card out of ``to_json``'s text; ``ValueError`` where a field is unknown or missing."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ValueError(f"the card is damaged ({error}); fetch or write the file again") from error
        if not isinstance(fields, dict):
            raise ValueError("a card must be a JSON object")
        known = {each.name for each in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"card has unknown fields {unknown}; known are {sorted(known)}")
        if missing := sorted({"name", "summary", "task"} - set(fields)):
            raise ValueError(f"card lacks {missing}")
        for name in ("value_range", "precisions", "needs", "takes"):
            if name in fields:
                fields[name] = tuple(fields[name])
        return cls(**fields)


def _one_of(field_name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"card: {field_name} must be one of {', '.join(allowed)}; got {value!r}")


def _is_within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_range(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    low, high = value
    numbers = all(isinstance(each, int | float) and math.isfinite(each) for each in value)
    return numbers and low < high
