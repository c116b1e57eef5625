"""A Parquet file that goes on: sections one after the other, and a last footer with the row groups of all.

At the end of each section stands its own footer too, so that sections can be kept as they are, byte by byte,
and others written behind them. Readers see one file: they begin with the last footer, and what lies between
the pages of its row groups is nothing to them.

Arrow's writers only begin files. One that goes on is told that it wrote what stands before.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.results.table_columns import written_as

_MAGIC = b"PAR1"
_LENGTH = 4
"""Bytes of the length of a footer; the magic follows."""
_PRETENDED = b"\0" * (1 << 23)


class GrowingFile:
    """Such a file on this machine: ``section`` after ``section``, then ``finish``.

    ``ends``: of the sections, from the first, that are kept of the file that is there; the rest of it goes.
    """

    def __init__(self, path: Path, schema: pa.Schema, ends: Sequence[int] = ()) -> None:
        self._schema, self._options = schema, written_as(schema)
        self._file: IO[bytes] = path.open("r+b" if ends else "w+b")
        self._footers = [_footer(self._file, end) for end in ends]
        if ends:
            self._file.truncate(ends[-1])
            self._file.seek(ends[-1])
        else:
            self._file.write(_MAGIC)

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def section(self) -> Iterator[pq.ParquetWriter]:
        """Writes the rows of one more."""
        onward = _Onward(self._file)
        schema = self._schema.remove_metadata()  # what all sections share stands in the last footer
        options = self._options | {"store_schema": False, "metadata_collector": self._footers}
        with pa.PythonFile(onward, mode="w") as sink, pq.ParquetWriter(sink, schema, **options) as writer:
            onward.begin(sink)
            yield writer

    @property
    def end(self) -> int:
        """Where the last section ends, in bytes."""
        return self._file.tell()

    @property
    def groups(self) -> int:
        """Row groups of the last section."""
        return int(self._footers[-1].num_row_groups)

    def sha256_from(self, start: int) -> str:
        """SHA-256 of what stands from ``start`` on, in bytes."""
        return sha256_between(self._file, start, self.end)

    def finish(self, metadata: Mapping[bytes, str]) -> None:
        """The footer of all, with metadata of the file beside that of the schema."""
        empty = io.BytesIO()
        with pq.ParquetWriter(empty, self._schema, **self._options) as writer:
            writer.add_key_value_metadata(metadata)
        whole = pq.read_metadata(io.BytesIO(empty.getvalue()))
        for each in self._footers:
            whole.append_row_groups(each)
        footer = io.BytesIO()
        whole.write_metadata_file(footer)
        self._file.write(footer.getvalue())


class _Onward(io.RawIOBase):
    """The same file to a writer that thinks that it begins one: it counts from 0, and so do its footers."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._is_heard = file, False

    def begin(self, sink: pa.NativeFile) -> None:
        """What the writer wrote so far, a magic, goes nowhere; then it is taken to where the file ends."""
        left = self._file.tell() - len(_MAGIC)
        while left:
            left -= sink.write(_PRETENDED[:left])
        self._is_heard = True

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """To the file, once begun."""
        return self._file.write(data) if self._is_heard else len(data)


def sha256_between(file: IO[bytes], start: int, end: int) -> str:
    """SHA-256 of these bytes of a file, which stands at ``end`` afterwards, or where it is shorter there."""
    digest = hashlib.sha256()
    file.seek(start)
    while piece := file.read(min(1 << 22, end - file.tell())):
        digest.update(piece)
    return digest.hexdigest()


def _footer(file: IO[bytes], end: int) -> pq.FileMetaData:
    """That of the section which ends there. ``ArrowInvalid`` where none does."""
    file.seek(max(end - _LENGTH - len(_MAGIC), 0))
    length = int.from_bytes(file.read(_LENGTH), "little")
    start = end - len(_MAGIC) - _LENGTH - length
    if file.read(len(_MAGIC)) != _MAGIC or start < 0:
        raise pa.ArrowInvalid(
            f"no section of Parquet ends at byte {end}; delete the file to have it made again"
        )
    file.seek(start)
    return pq.read_metadata(io.BytesIO(_MAGIC + file.read(end - start)))
