"""The metric table of up to a million rows: one file, written anew from the whole ledger.

Of one with more than ``SHOWN_WHOLE`` rows what stands is kept: see ``pipeline.results.sections``. What the
report shows of it is drawn while it is written, and kept beside it, as beside the parts of a larger one. Both
say what they were made from: rows that were drawn from another table than the one that is there are not
believed, and the report reads all.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.hashing import sha256_hex
from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.known import digest_of_sources
from pipeline.results.current import COUNTED, Counting, current_rows
from pipeline.results.part_counts import PartCounts
from pipeline.results.parts import SIDE, TABLE, reasons_of, totals_of, trust_of
from pipeline.results.table_columns import written_as
from pipeline.results.table_rows import Scores, summed_up, write_rows
from pipeline.results.tally import with_totals
from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch

if TYPE_CHECKING:
    from pipeline.results.distance_table import DistanceTable

SHOWN_WHOLE = 200_000
"""Rows that the report shows all of."""
SHOWN = f"{SIDE}/shown.parquet"
"""Those that it shows of more; goes with the table when that becomes a folder of parts."""
STATE = b"restora_state"
"""In the metadata of both: what they were made from."""


def write_table(run: RunFolder, schema: pa.Schema) -> tuple[dict[str, int], pa.Table, list[dict[str, Any]]]:
    """Writes it; its counts, its summary, and the rows of distances for that."""
    # Here, for the start-up of a run with nothing to do, which sums nothing up.
    from pipeline.results.statistics import summarise

    parts = run.ledger.parts()
    state = _state(run, parts, schema)
    is_drawn = sum(each.rows or 0 for each in parts) > SHOWN_WHOLE
    with scratch("table") as place:
        path = place / "metrics.parquet"
        if is_drawn:
            found = _in_sections(run, parts, schema, path, state)
        else:
            found = _at_once(run, schema, path, state)
        summary = summarise(found.scores.table())
        run.folder.put_file(TABLE, path)
    if found.shown is not None:
        _put_shown(run.folder, found.shown, state)
        _delete_sides(run.folder, found.sides)
    return found.counts, summary, found.distances.rows()


class _Written(NamedTuple):
    """What is known of a table that was written."""

    counts: dict[str, int]
    scores: Scores
    distances: DistanceTable
    shown: pa.Table | None = None
    """What the report shows of it, with the counts of all; ``None``: everything."""
    sides: Collection[str] = ()
    """Keys of what is kept beside it."""


def _at_once(run: RunFolder, schema: pa.Schema, path: Path, state: str) -> _Written:
    """Every row of a table that is small."""
    from pipeline.results.distance_table import DistanceTable

    counts, scores = Counter(dict.fromkeys(COUNTED, 0)), Scores(run, schema)
    distances = DistanceTable(run.job.distances)
    current = current_rows(run, counting=Counting.shared(run))
    with pq.ParquetWriter(path, schema, **written_as(schema)) as file:
        file.add_key_value_metadata({STATE: state})
        write_rows(file, summed_up(run, schema, current, counts, distances), scores.add)
    return _Written(dict(counts), scores, distances)


def _in_sections(
    run: RunFolder, parts: list[LedgerPart], schema: pa.Schema, path: Path, state: str
) -> _Written:
    """Of a large one what is new."""
    from pipeline.results.sections import SectionWriter

    writer = SectionWriter(run, schema, PartCounts(Counting.shared(run)), path)
    writer.write(parts, {STATE: state})
    written = [each.part for each in writer.sections]
    counts = totals_of(written)
    totals = {**counts, "reasons": reasons_of(written), "trust": trust_of(written)}
    shown = with_totals(writer.shown.table(schema), totals)
    sides = {SHOWN, *(each.side("report") for each in written)}
    return _Written(counts, writer.scores, writer.distances, shown, sides)


def _delete_sides(folder: Folder, kept: Collection[str]) -> None:
    """What other tables left beside, or a killed run."""
    folder.delete_all([key for key in folder.keys(SIDE, ".parquet") if key not in kept])


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


def _state(run: RunFolder, parts: list[LedgerPart], schema: pa.Schema) -> str:
    names = [each.name for each in parts]
    described = [*names, digest_of_sources(run.folder), run.root.url, str(schema), str(schema.metadata)]
    return sha256_hex("\n".join(described).encode())
