"""``--set optimiser.learning_rate=1e-4``: single values of a recipe, given beside its file."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import JobError

_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def overridden(fields: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The fields with each ``path=value`` put in place; values are TOML or ``null``, else text.

    Paths are as error messages print them: ``data.crop``, ``losses[0].weight``. ``JobError`` names an
    override that cannot be placed.
    """
    result = copy.deepcopy(dict(fields))
    for override in overrides:
        path, mark, text = override.partition("=")
        if not mark or not path.strip():
            raise JobError(f"--set {override}: expected path=value, such as optimiser.learning_rate=1e-4")
        _place(result, path.strip(), _value(text.strip()), override)
    return result


def _place(fields: dict[str, Any], path: str, value: Any, override: str) -> None:
    parts: list[str | int] = [int(index) if index else name for name, index in _PART.findall(path)]
    place: Any = fields
    try:
        for part in parts[:-1]:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
        place[parts[-1]] = value
    except (TypeError, IndexError, AttributeError):
        raise JobError(f"--set {override}: the recipe has no place {path}") from None


def _value(text: str) -> Any:
    if text == "null":  # which TOML has no word for
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
