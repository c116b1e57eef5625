"""Building by name out of a table, with errors that name the known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

RENAMED_ARGUMENTS = {"code": "latent"}
"""Old name -> today's, in the cards, recipes and checkpoints that were written with the old one."""


def build_named(
    kind: str, table: Mapping[str, Callable[..., nn.Module]], name: str, arguments: Mapping[str, Any]
) -> nn.Module:
    """``table[name](**arguments)``; ``ValueError`` naming an unknown name or argument."""
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}; known are {', '.join(sorted(table))}")
    try:
        return table[name](**{RENAMED_ARGUMENTS.get(key, key): value for key, value in arguments.items()})
    except TypeError as error:
        raise ValueError(f"{kind} {name!r} cannot be built with {dict(arguments)}: {error}") from None
