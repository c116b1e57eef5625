"""Tables as they are read: Parquet, ORC, CSV and JSON lines, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from pipeline.errors import JobError
from pipeline.storage.folder import Folder

BATCH = 1 << 14
"""Rows of a Parquet file that are read at a time."""
_BLOCK = 4 << 20
"""Bytes of a text that are parsed at a time."""
_HEADER = 1 << 16
"""Bytes of a text that hold the names of its columns."""


class Table(Protocol):
    """One file of rows."""

    @property
    def names(self) -> list[str]:
        """Of its columns."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns of all rows, in order."""
        ...


class ParquetTable:
    """Reads no other columns than those that are asked for."""

    def __init__(self, file: pa.PythonFile) -> None:
        self._file = pq.ParquetFile(file)
        self.names: list[str] = list(self._file.schema_arrow.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A part of a row group at a time."""
        yield from self._file.iter_batches(BATCH, columns=list(columns))


class OrcTable:
    """As S3 Inventory writes it."""

    def __init__(self, file: pa.PythonFile) -> None:
        import pyarrow.orc  # start-up: hardly any table is one

        self._file = pyarrow.orc.ORCFile(file)
        self.names: list[str] = list(self._file.schema.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A stripe at a time."""
        for stripe in range(self._file.nstripes):
            yield self._file.read_stripe(stripe, list(columns))


class TextTable:
    """What pyarrow streams: a reader of record batches."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader = reader
        self.names: list[str] = list(reader.schema.names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """A block of the text at a time."""
        for batch in self._reader:
            yield batch.select(list(columns))


Streams = Callable[[], pa.NativeFile]
"""Opens the file, from its beginning each time."""


def csv_table(streams: Streams, delimiter: str, header: Sequence[str] | None = None) -> Table:
    """Every value a text, an empty one missing; ``header`` where the file has none of its own."""
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    names = list(header or _first_line(streams(), parsing))
    reading = pyarrow.csv.ReadOptions(block_size=_BLOCK, column_names=names if header else None)
    texts = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    return TextTable(pyarrow.csv.open_csv(streams(), reading, parsing, texts))


def _first_line(stream: pa.NativeFile, parsing: pyarrow.csv.ParseOptions) -> list[str]:
    """The names of the columns, out of the first bytes alone: a reader of the whole file reads far ahead."""
    delimiter, newlines = parsing.delimiter, parsing.newlines_in_values
    cut = pyarrow.csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=newlines, invalid_row_handler=lambda _: "skip"
    )
    beginning = pa.BufferReader(stream.read(_HEADER))
    names: list[str] = pyarrow.csv.open_csv(beginning, parse_options=cut).schema.names
    return names


def json_table(streams: Streams) -> Table:
    """One object a line; the fields of the first ones are the columns."""
    reading = pyarrow.json.ReadOptions(block_size=_BLOCK)
    return TextTable(pyarrow.json.open_json(streams(), reading))


READERS: dict[str, Callable[[Streams], Table]] = {
    ".parquet": lambda streams: ParquetTable(streams()),
    ".orc": lambda streams: OrcTable(streams()),
    ".csv": lambda streams: csv_table(streams, ","),
    ".tsv": lambda streams: csv_table(streams, "\t"),
    ".jsonl": json_table,
    ".ndjson": json_table,
}
"""By the ending of the name; texts may be compressed as ``.gz`` beside."""


@contextmanager
def opened(folder: Folder, key: str, header: Sequence[str] | None = None) -> Iterator[Table]:
    """The table at a key; ``header`` for a CSV file without one. Raises what store and pyarrow raise."""
    name, compressed = key.lower().removesuffix(".gz"), key.lower().endswith(".gz")
    with ExitStack() as stack:

        def stream() -> pa.NativeFile:
            file: IO[bytes] = stack.enter_context(folder.open(key))
            plain = pa.PythonFile(file, mode="r")
            return pa.CompressedInputStream(plain, "gzip") if compressed else plain

        if header is not None and name.endswith(".csv"):
            yield csv_table(stream, ",", header)
            return
        read = next((each for end, each in READERS.items() if name.endswith(end)), None)
        if read is None:
            known = ", ".join(READERS)
            raise JobError(
                f"{folder.uri(key)}: the name does not say what kind of table it is; end it in {known}"
            )
        yield read(stream)
