"""What a lake does: holds a table whose rows are of parts, and replaces parts in one commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

PART = "restora_part"
"""Column that tells of which part of the run's table a row is."""

Rows = Iterator[tuple[str, pa.Table]]
"""Names of new parts and tables of their rows; a part may come in several, one after the other."""


class LakeTable(Protocol):
    """A table at a place."""

    def columns(self) -> list[str] | None:
        """Its columns; ``None`` where there is no table yet."""
        ...

    def parts(self) -> set[str]:
        """The parts whose rows it holds."""
        ...

    def replace(self, gone: Sequence[str], new: Sequence[str], rows: Rows, schema: pa.Schema) -> None:
        """Takes out the rows of some parts and adds those of others; whoever reads sees before or after."""
        ...


@dataclass(frozen=True)
class Lake:
    """A kind of table."""

    name: str
    open: Callable[[str, str | None], LakeTable]
    """At an address, in the catalogue that the second argument names, where the lake has catalogues."""
    extra: str = ""
    """What has to be installed: ``pip install 'restora[extra]'``; empty where nothing has."""
    module: str = ""
    """The package that tells whether it is."""


def quoted(parts: Sequence[str]) -> str:
    """A predicate of SQL that means these parts, whose names are hexadecimal."""
    names = ", ".join(f"'{each}'" for each in parts)
    return f"{PART} IN ({names})"
