"""What a tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Tracker(Protocol):
    """Hears of the numbers of a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers at a step."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values by dotted names, as texts."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            found[f"{prefix}{name}"] = str(value)
    return found
