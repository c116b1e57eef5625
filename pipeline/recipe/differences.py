"""Where two recipes differ, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.hashing import canonical_json


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Where two recipes differ, one line each: ``restorers[1].sha256: "ab.." -> "cd.."``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
    elif old != new:
        yield f"{path}: {_brief(old)} -> {_brief(new)}"


def _brief(value: Any) -> str:
    text = canonical_json(finite(value))
    return text if len(text) <= 60 else text[:57] + "..."


def finite(value: Any) -> Any:
    """Infinite numbers as text: JSON has none."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
