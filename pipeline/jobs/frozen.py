"""What every part of a job is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, LiteralString, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

OF_FIELD = "of_field"
"""Type of a fault whose context says of which ``field`` it is."""

UNKNOWN_NAME = "unknown_name"
"""Type of a fault whose context says which names are ``known``."""


class Typed(BaseModel):
    """Takes numbers, texts and truths as TOML writes them, whatever pydantic would make of them."""

    @model_validator(mode="before")
    @classmethod
    def _holds_what_it_looks_like(cls, fields: Any) -> Any:
        """``true`` is no number, and ``"7"`` is a text."""
        if not isinstance(fields, dict):
            return fields
        for name in cls.model_fields.keys() & fields.keys():
            annotation: Any = cls.model_fields[name].annotation
            plain = _plain_types(annotation)
            for fault in filter(None, (_fault(each, plain) for each in _entries(fields[name]))):
                # Raised of the whole model: pydantic allows no check before that of a union's own name. The
                # value is not in its words, which schedulers show: who reads them takes it from the input.
                raise PydanticCustomError(OF_FIELD, fault, {"field": name})
        return fields


class Frozen(Typed):
    """Never changes, takes no unknown field, and documents each where it stands."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,  # the books are JSON, which has no such numbers
    )


WRITTEN = {"written": True}
"""Context in which the job of a run that is there already is read again."""


def is_written(info: ValidationInfo) -> bool:
    """Whether a run wrote it down. That a field of it changes nothing was no fault then, and is none now: it
    must not keep anybody from what the run has made."""
    return bool(info.context and info.context.get("written"))


def _fault(value: Any, plain: frozenset[type]) -> LiteralString | None:
    if isinstance(value, bool) and bool not in plain and plain & {int, float}:
        return "must be a number"
    if isinstance(value, str) and str not in plain and plain & {int, float}:
        return "must be a number, without quotation marks"
    if not isinstance(value, bool) and plain == {bool} and isinstance(value, int | float | str):
        return "must be true or false, without quotation marks"
    return None


def _entries(value: Any) -> Iterator[Any]:
    """The value itself, or what a list of it holds."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _entries(each)
    else:
        yield value


@cache
def _plain_types(annotation: Any) -> frozenset[type]:
    """Of numbers, texts and truths those that a field may hold, itself or in lists."""
    if get_origin(annotation) is Literal:
        return frozenset(type(each) for each in get_args(annotation))
    if annotation in (int, float, bool, str):
        return frozenset({annotation})
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return frozenset({str})  # a name may stand for a table
    return frozenset().union(*(_plain_types(each) for each in get_args(annotation) if _is_type(each)))


def _is_type(part: Any) -> bool:
    """Whether a part of an annotation says what may be there, and not how it is checked."""
    return isinstance(part, type) or get_origin(part) is not None
