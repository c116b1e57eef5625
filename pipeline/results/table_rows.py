"""Rows on their way into a metric table in one file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import as_table, counted

if TYPE_CHECKING:  # for the start-up of a run that asks for no distance
    from pipeline.results.distance_table import DistanceTable

ROW_GROUP = 50_000


def summed_up(
    run: RunFolder,
    schema: pa.Schema,
    parts: Iterable[tuple[pa.Table, pa.Table]],
    counts: Counter[str],
    distances: DistanceTable,
) -> Iterator[pa.Table]:
    """The rows that count, as the table has them; ``counts`` and ``distances`` sum up what passes.

    ``parts``: tables of the ledger, and the rows of each that count.
    """
    for table, kept in parts:
        counts.update(counted(table, kept))
        if run.job.distances:
            distances.add(kept)
        yield as_table(kept, run, schema)


def write_rows(
    file: pq.ParquetWriter, tables: Iterator[pa.Table], *readers: Callable[[pa.Table], None]
) -> None:
    """Writes the rows, many at a time, while ``readers`` are shown them and the next are read."""
    with _Writer(file) as writer:
        for rows in _together(tables):
            writer.write(rows)
            for read in readers:
                read(rows)


def _together(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, at least ``ROW_GROUP`` at a time."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


class Scores:
    """The columns that the summary is made from."""

    def __init__(self, run: RunFolder, schema: pa.Schema) -> None:
        names = [f"{m}{suffix}" for m in run.job.metrics for suffix in ("", "_degraded")]
        names = ["dataset", "key", "degradation", "restorer", "status", *names]
        self._schema = pa.schema([schema.field(name) for name in names], schema.metadata)
        self._rows: list[pa.Table] = []

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(self._schema.names)

    def add(self, rows: pa.Table) -> None:
        """Rows with these columns, and others."""
        self._rows.append(rows.select(self._schema.names))

    def table(self) -> pa.Table:
        """Of all rows that were added."""
        rows = [each.cast(self._schema) for each in self._rows]
        return pa.concat_tables([self._schema.empty_table(), *rows])


class _Writer:
    """Writes tables by a thread, while the next rows are read."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="table")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, rows: pa.Table) -> None:
        """More rows; raises what writing those before raised."""
        self._wait()
        self._under_way = self._thread.submit(self._file.write_table, rows)

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown()
