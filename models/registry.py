"""Building by name out of a table, with errors that name the known."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from models.names import unknown
from models.plugins import Parts

T = TypeVar("T")

RENAMED_ARGUMENTS = {"code": "latent"}
"""Old name -> today's, in the cards, recipes and checkpoints that were written with the old one."""


def build_named(
    kind: str, table: Mapping[str, Callable[..., T]], name: str, arguments: Mapping[str, Any]
) -> T:
    """``table[name](**arguments)``; ``ValueError`` naming an unknown name or argument, or a missing one."""
    if name not in table:
        raise ValueError(unknown(kind, name, table))
    given = {RENAMED_ARGUMENTS.get(key, key): value for key, value in arguments.items()}
    build = table.named(name) if isinstance(table, Parts) else table[name]
    _check_arguments(f'{kind} "{name}"', inspect.signature(build), given)
    try:
        return build(**given)
    except TypeError as error:
        raise ValueError(f'{kind} "{name}" cannot be built with {given}: {error}') from None


def _check_arguments(what: str, signature: inspect.Signature, given: Mapping[str, Any]) -> None:
    parameters = signature.parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    for argument in given:
        if argument not in signature.parameters:
            raise ValueError(f"{what}: {unknown('argument', argument, signature.parameters)}")
