"""``--set optimizer.learning_rate=1e-4``: single values of a recipe, given beside its file."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import JobError
from pipeline.training.recipe.renamed import current_name

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def overridden(fields: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The fields, by today's names, with each ``path=value`` put in place; values are TOML, ``null`` or text.

    Paths are as error messages print them: ``data.crop``, ``losses[0].weight``. ``JobError`` names an
    override that cannot be placed.
    """
    result = copy.deepcopy(dict(fields))
    for override in overrides:
        path, mark, text = override.partition("=")
        if not mark or not path.strip():
            raise JobError(f"--set {override}: expected path=value, such as optimizer.learning_rate=1e-4")
        _place(result, path.strip(), _value(text.strip()), override)
    return result


def _place(fields: dict[str, Any], path: str, value: Any, override: str) -> None:
    steps = _steps(path)
    place: Any = fields
    try:
        for step in steps[:-1]:
            place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
        place[steps[-1]] = value
    except (TypeError, IndexError, AttributeError):
        raise JobError(f"--set {override}: the recipe has no field {path}") from None


def _steps(path: str) -> list[str | int]:
    """Names, by today's spelling, and indices, from the recipe down to the field."""
    steps: list[str | int] = []
    for name, index in _STEP.findall(path):
        parents = tuple(str(step) for step in steps)
        steps.append(int(index) if index else current_name(parents, name))
    return steps


def _value(text: str) -> Any:
    if text == "null":  # which TOML has no word for
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
