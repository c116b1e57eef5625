"""What is wrong with a job or a recipe, in the words of TOML: the file itself, and the form of its fields."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.names import did_you_mean
from pipeline.addresses import redacted
from pipeline.errors import JobError
from pipeline.jobs.frozen import OF_FIELD, UNKNOWN_NAME

WORDS = {
    "missing": "is needed",
    "tuple_type": "must be a list in [ ]",
    "dict_type": "must be a table in { }",
    "model_type": "must be a table in { }",
    "model_attributes_type": "must be a table in { }",
    "string_type": "must be a text in quotation marks",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
}
"""What pydantic calls by the names of Python's types."""


def read_toml(path: Path, cure: str = "") -> dict[str, Any]:
    """The fields of a TOML file. ``JobError`` names the file, what is wrong with it, and the line.

    ``cure`` is added where there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors of Windows put a mark before the first field
        return tomllib.loads(text)
    except FileNotFoundError:
        raise JobError(f"{path}: no such file{cure}") from None
    except UnicodeDecodeError:
        raise JobError(f"{path}: cannot be read: not a text file in UTF-8; give one in TOML") from None
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror or error}; give a file in TOML") from error
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{path}: not valid TOML: {error}{_line_of(str(error), text)}") from error


def _line_of(message: str, text: str) -> str:
    """The line itself: tomllib says where a key is there twice, but not which."""
    place, lines = re.search(r"at line (\d+)", message), text.splitlines() or [""]
    number = min(int(place[1]), len(lines)) if place else len(lines)  # else "at end of document"
    return f": {shown(lines[number - 1].strip())}"


def faults_of(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    """A line for everything that is wrong with the fields of a ``model``: path, fault, cure."""
    faults = error.errors(include_url=False)
    for fault in faults:
        if fault["type"] == "too_short" and any(_is_below(each["loc"], fault["loc"]) for each in faults):
            continue  # pydantic counts only the entries that are right
        path, message = path_of(fault), explained(fault, _fields_at(model, fault["loc"][:-1]))
        yield f"{path}: {message}" if path else message


def _is_below(location: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(location) > len(other) and location[: len(other)] == other


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model at ``location`` below ``model``."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            inner = next(_models_in(model.model_fields[part].annotation), None)
            if inner is None:
                break
            model = inner
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def explained(fault: ErrorDetails, known: Iterable[str]) -> str:
    """One fault that pydantic found, without its path; ``known`` are the fields that are known there."""
    kind, message = fault["type"], fault["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"unknown field; {did_you_mean(str(fault['loc'][-1]), known)}"
    if kind == "value_error":
        return message
    if kind == "missing":
        return WORDS[kind]
    if kind == OF_FIELD:
        return f"{message}, got {shown(fault['input'][fault['ctx']['field']])}"
    if kind == UNKNOWN_NAME:
        given = fault["input"]["name"] if isinstance(fault["input"], dict) else fault["input"]
        return f"unknown {shown(given)}; {did_you_mean(str(given), fault['ctx']['known'])}"
    if kind == "union_tag_not_found":
        return f"{fault['ctx']['discriminator'].strip(chr(39))} is needed, got {shown(fault['input'])}"
    if kind == "too_short":
        return f"needs at least {fault['ctx']['min_length']}, got {shown(fault['input'])}"
    return f"{WORDS.get(kind, message)}, got {shown(fault['input'])}"


def path_of(fault: ErrorDetails) -> str:
    """Where the fault is: ``datasets[0].uri``."""
    inner = (fault["ctx"]["field"],) if fault["type"] == OF_FIELD else ()
    return re.sub(r"\.(\d+)", r"[\1]", ".".join(str(part) for part in (*fault["loc"], *inner)))


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = redacted(str(value).lower() if isinstance(value, bool) else repr(value))
    return text if len(text) <= 80 else text[:77] + "..."
