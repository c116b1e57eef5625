"""The metric table of up to a million rows: one file, written anew from the whole ledger.

What the report shows of one with more than ``SHOWN_WHOLE`` rows is drawn while it is written, and kept beside
it, as beside the parts of a larger one. Both say what they were made from: rows that were drawn from another
table than the one that is there are not believed, and the report reads all.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.hashing import sha256_hex
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.known import digest_of_sources
from pipeline.results.current import COUNTED, Counting, as_table, counted, current_rows
from pipeline.results.parts import SIDE, TABLE
from pipeline.results.table_columns import written_as
from pipeline.results.tally import Tally, with_totals
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch

ROW_GROUP = 50_000
SHOWN_WHOLE = 200_000
"""Rows that the report shows all of."""
SHOWN = f"{SIDE}/shown.parquet"
"""Those that it shows of more; goes with the table when that becomes a folder of parts."""
STATE = b"restora_state"
"""In the metadata of both: what they were made from."""


def write_table(run: RunFolder, schema: pa.Schema) -> tuple[dict[str, int], pa.Table, list[dict[str, Any]]]:
    """Writes it; its counts, its summary, and the rows of distances for that."""
    # Here, because it brings scipy.stats, which would lengthen the start-up of a run with nothing to do.
    from pipeline.results.distance_table import DistanceTable
    from pipeline.results.statistics import summarise

    counts, distances = Counter(dict.fromkeys(COUNTED, 0)), DistanceTable(run.job.distances)
    state = _state(run, schema)
    is_drawn = sum(each.rows or 0 for each in run.ledger.parts()) > SHOWN_WHOLE
    tally, scores = Tally(run, schema), _Scores(run, schema)

    counting = Counting.shared(run)

    def tables() -> Iterator[pa.Table]:
        for table, kept in current_rows(run, counting=counting):
            counts.update(counted(table, kept))
            if run.job.distances:
                distances.add(kept)
            yield as_table(kept, run, schema)

    with scratch("table") as place:
        path = place / "metrics.parquet"
        with _Writer(path, schema, state) as writer:
            for rows in _together(tables()):
                writer.write(rows)
                scores.add(rows)
                if is_drawn:
                    tally.add(rows)
        summary = summarise(scores.table())
        run.folder.put_file(TABLE, path)
    if is_drawn:
        totals = {**counts, "reasons": dict(tally.reasons), "trust": dict(tally.trust)}
        _put_shown(run.folder, with_totals(tally.shown.table(schema), totals), state)
    return dict(counts), summary, distances.rows()


def read_shown(folder: Folder) -> pa.Table | None:
    """The rows that the report shows of a table that is there, counts of all in the metadata.

    ``None`` where it shows the whole table, or nothing was drawn from this one.
    """
    with folder.open(TABLE) as file:
        table = pq.ParquetFile(file)
        if table.metadata.num_rows <= SHOWN_WHOLE:
            return None
        state = (table.metadata.metadata or {}).get(STATE)
    try:
        shown = pq.ParquetFile(io.BytesIO(folder.read(SHOWN))).read()
    except (FileNotFoundError, pa.ArrowException):
        return None  # derived data: the table itself has it all
    return shown if state and (shown.schema.metadata or {}).get(STATE) == state else None


def _put_shown(folder: Folder, rows: pa.Table, state: str) -> None:
    buffer = io.BytesIO()
    rows = rows.replace_schema_metadata(rows.schema.metadata | {STATE: state.encode()})
    pq.write_table(rows, buffer, compression="zstd")
    folder.put(SHOWN, buffer.getvalue())


def _state(run: RunFolder, schema: pa.Schema) -> str:
    parts = [each.name for each in run.ledger.parts()]
    described = [*parts, digest_of_sources(run.folder), run.root.url, str(schema), str(schema.metadata)]
    return sha256_hex("\n".join(described).encode())


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


class _Scores:
    """The columns that the summary is made from."""

    def __init__(self, run: RunFolder, schema: pa.Schema) -> None:
        names = [f"{m}{suffix}" for m in run.job.metrics for suffix in ("", "_degraded")]
        names = ["dataset", "key", "degradation", "restorer", "status", *names]
        self._schema = pa.schema([schema.field(name) for name in names], schema.metadata)
        self._rows: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        self._rows.append(rows.select(self._schema.names))

    def table(self) -> pa.Table:
        """Of all rows that were added."""
        return pa.concat_tables([self._schema.empty_table(), *self._rows])


class _Writer:
    """A file on this machine, written by a thread while the next rows are read."""

    def __init__(self, path: Path, schema: pa.Schema, state: str) -> None:
        self._file = pq.ParquetWriter(path, schema, **written_as(schema))
        self._file.add_key_value_metadata({STATE: state})
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
            self._file.close()
