"""A table of Apache Iceberg, by pyiceberg. A replacement is one transaction.

Its catalogue is a file of SQLite beside the table, or the one that pyiceberg's own configuration has under a
name; without a name an address in an object store is refused, for no file there can be a catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import JobError
from pipeline.results.lakes.base import PART, Lake, LakeTable, Rows, quoted
from pipeline.storage.folder import Folder

NAMESPACE = "restora"
TABLE = "metrics"


class IcebergTable:
    """The table ``restora.metrics`` of a catalogue, or another one where it is told."""

    def __init__(self, catalogue: Any, name: str) -> None:
        self._catalogue, self._name = catalogue, name

    def _table(self) -> Any | None:
        return self._catalogue.load_table(self._name) if self._catalogue.table_exists(self._name) else None

    def columns(self) -> list[str] | None:
        """By its schema."""
        table = self._table()
        return None if table is None else [field.name for field in table.schema().fields]

    def parts(self) -> set[str]:
        """Its partitions."""
        table = self._table()
        if table is None or table.current_snapshot() is None:
            return set()
        return {each[PART] for each in table.inspect.partitions()["partition"].to_pylist()}

    def replace(self, gone: Sequence[str], new: Sequence[str], rows: Rows, schema: pa.Schema) -> None:
        """Files of parts that go are taken out, files of new ones added."""
        with (self._table() or self._created(schema)).transaction() as transaction:
            if gone:
                transaction.delete(quoted(gone))
            for _, table in rows:
                transaction.append(table)

    def _created(self, schema: pa.Schema) -> Any:
        self._catalogue.create_namespace_if_not_exists(self._name.rpartition(".")[0])
        table = self._catalogue.create_table(self._name, schema=schema)
        with table.update_spec() as update:
            update.add_identity(PART)
        return table


def _open(place: str, catalogue: str | None) -> LakeTable:
    if catalogue is not None:
        from pyiceberg.catalog import load_catalog

        return IcebergTable(load_catalog(catalogue), f"{NAMESPACE}.{Path(place).name}")
    folder = Folder(place)
    if not folder.is_local:
        raise JobError(
            f"{place}: a catalogue of Iceberg cannot be a file there; give a folder of this machine, or "
            "--catalog with the name of a catalogue in pyiceberg's configuration"
        )
    from pyiceberg.catalog.sql import SqlCatalog

    root = Path(folder.root)
    root.mkdir(parents=True, exist_ok=True)
    beside = SqlCatalog(NAMESPACE, uri=f"sqlite:///{root / 'catalog.db'}", warehouse=root.as_uri())
    return IcebergTable(beside, f"{NAMESPACE}.{TABLE}")


ICEBERG = Lake("iceberg", _open, extra="iceberg", module="pyiceberg")
