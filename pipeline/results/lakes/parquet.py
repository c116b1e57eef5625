"""A folder of Parquet files, one a part: what every reader of a folder reads. Replaced file by file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.results.lakes.base import Lake, LakeTable, Rows
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch

_ENDING = ".parquet"


class ParquetFolder:
    """The files of a folder."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def columns(self) -> list[str] | None:
        """Of any of its files: all have the same."""
        for part in sorted(self.parts()):
            with self._folder.open(part + _ENDING) as file:
                return list(pq.ParquetFile(file).schema_arrow.names)
        return None

    def parts(self) -> set[str]:
        """By the names of the files."""
        return {key.removeprefix("./").removesuffix(_ENDING) for key in self._folder.keys(".", _ENDING)}

    def replace(self, gone: Sequence[str], new: Sequence[str], rows: Rows, schema: pa.Schema) -> None:
        """Old files go first: no reader meets a row twice, and one that looks meanwhile misses some."""
        self._folder.delete_all([part + _ENDING for part in gone])
        with scratch("lake") as place:
            for part, tables in groupby(rows, itemgetter(0)):
                path = place / "part.parquet"
                with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                    for _, table in tables:
                        writer.write_table(table)
                self._folder.put_file(part + _ENDING, path)


def _open(place: str, catalogue: str | None) -> LakeTable:
    return ParquetFolder(Folder(place))


PARQUET = Lake("parquet", _open)
