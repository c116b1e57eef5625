"""Options that belong together: a dataclass in the function, to the user options under a heading."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every parameter that is a dataclass replaced by the dataclass's fields.

    ``def restore(source: Source, running: Running = Running())`` takes ``--engine`` and ``--workers``,
    the fields of ``Running``, and gets them as one value. On the help page they stand under the first line of
    its docstring.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        kept = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        parameters += _fields_of(groups[name]) if name in groups else [kept]

    @wraps(command)
    def call(**given: Any) -> None:
        built = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **built)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _fields_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_under(_heading(group), hints[field.name]),
        )
        for field in fields(group)
    ]


def _heading(group: Any) -> str:
    return (inspect.getdoc(group) or group.__name__).partition("\n")[0].removesuffix(".")


def _under(heading: str, hint: Any) -> Any:
    """The same option, which other groups may share, on that panel of the help page."""
    kind, option = get_args(hint) if get_origin(hint) is Annotated else (hint, typer.Option())
    option = copy(option)
    option.rich_help_panel = heading
    return Annotated[kind, option]
