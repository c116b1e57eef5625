"""Whether the packages that come with this one are found, or others of their names in their place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent


def refuse_shadowed(*names: str) -> None:
    """``ImportError`` with the cure where a folder of the caller's hides a package of ours."""
    for name in names:
        spec = find_spec(name)
        origin = spec.origin if spec else None
        if origin is None or Path(origin).resolve().parent != HOME / name:
            raise ImportError(
                f"restora needs its own package {name}, which {origin or 'nothing'} stands in the place of; "
                "start Python from another folder, with python -P, or with PYTHONSAFEPATH=1"
            )


refuse_shadowed("pipeline", "models", "flows")
