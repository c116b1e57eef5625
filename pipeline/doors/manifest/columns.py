"""The columns of a manifest: which of them there are, by which names, and as plain lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from models.names import did_you_mean
from pipeline.errors import JobError
from pipeline.jobs.stores import MANIFEST_COLUMNS

ADDRESS, KEY = "uri", "key"
NUMBERS = ("size", "noise_level", "reference_size")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read: the name used here -> the table's own."""

    names: Mapping[str, str]
    carried: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, there: Sequence[str], renamed: Mapping[str, str], carried: Sequence[str], where: str
    ) -> Columns:
        """Of a table with these columns. ``JobError`` where one that is needed or named is not there."""
        for name, column in renamed.items():
            if column not in there:
                raise JobError(f"{where}: has no column {column!r} for {name}; {did_you_mean(column, there)}")
        for column in carried:
            if column not in there:
                raise JobError(f"{where}: has no column {column!r} to carry; {did_you_mean(column, there)}")
        names = {
            name: renamed.get(name, name) for name in MANIFEST_COLUMNS if renamed.get(name, name) in there
        }
        if ADDRESS not in names and KEY not in names:
            raise JobError(
                f'{where}: has neither a column "uri" nor "key"; name the one with the addresses: '
                f'store = {{ name = "manifest", columns = {{ uri = "..." }} }}; there are {", ".join(there)}'
            )
        return cls(names, tuple(carried))

    @property
    def is_keyed(self) -> bool:
        """Whether rows hold keys below a base, and no addresses."""
        return ADDRESS not in self.names

    @property
    def wanted(self) -> list[str]:
        """The table's columns that are read."""
        return list(dict.fromkeys((*self.names.values(), *self.carried)))

    def lists(self, batch: pa.RecordBatch, first: int, where: str) -> dict[str, list[Any]]:
        """Plain values by the names used here: texts, numbers, ``None`` where a row has none.

        ``first`` is the row's number that the batch begins with. ``JobError`` names the row whose value is
        no number, or has no address.
        """
        found = {name: _values(batch[column], name, first, where) for name, column in self.names.items()}
        main = KEY if self.is_keyed else ADDRESS
        _refuse_empty(found[main], first, f"{where}: the column {self.names[main]!r}")
        return found | {f"carried {name}": _texts(batch[name]) for name in self.carried}


def _values(column: pa.Array, name: str, first: int, where: str) -> list[Any]:
    if name not in NUMBERS:
        return _texts(column)
    kind = pa.float64() if name == "noise_level" else pa.int64()
    try:
        values: list[Any] = column.cast(kind).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        row, value = _first_that_is_no_number(column, kind, first)
        raise JobError(f"{where}: row {row:,}: {name} is {value!r}, and has to be a number") from None
    most = 255 if name == "noise_level" else None
    if name != "noise_level" and all([value is None or value >= 0 for value in values]):
        return values
    for place, value in enumerate(values):
        if value is not None and not (value >= 0 and (most is None or value <= most)):
            raise JobError(
                f"{where}: row {first + place:,}: {name} is {value:g}, and has to be 0 or more"
                + (f", {most} at most" if most else "")
            )
    return values


def _first_that_is_no_number(column: pa.Array, kind: pa.DataType, first: int) -> tuple[int, Any]:
    for place in range(len(column)):
        try:
            column.slice(place, 1).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return first + place, column[place].as_py()
    return first, column.type


def _texts(column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string()) if not pa.types.is_nested(column.type) else _as_json(column)
    values: list[Any] = column.to_pylist()
    return values


def _as_json(column: pa.Array) -> pa.Array:
    return pa.array([None if each is None else str(each) for each in column.to_pylist()], pa.string())


def _refuse_empty(values: list[Any], first: int, where: str) -> None:
    if not all(values):
        place = next(place for place, value in enumerate(values) if not value)
        raise JobError(f"{where}: row {first + place:,} is empty; take the row out")
