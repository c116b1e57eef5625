"""What describes all results of a run together, as a door writes it: coordinates, levels, a catalogue.

No row promises these objects, since they are made anew out of the ledger each time; so what was written is
noted beside the tables, for verification to look at.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ledger.run_folder import RunFolder
from pipeline.results.current import ok_rows
from pipeline.results.object_check import ObjectCheck, Owed, in_portions
from pipeline.storage.noting import Written

DESCRIBED = "tables/described.parquet"
_SCHEMA = pa.schema([("key", pa.string()), ("sha256", pa.string()), ("bytes", pa.int64())])


def describe_results(run: RunFolder) -> None:
    """Has the run's door write what describes its results. Killed in the midst, nothing is noted."""
    if run.folder.exists(DESCRIBED):
        run.folder.delete(DESCRIBED)
    written: Written = {}
    run.layout.outlet.conclude(ok_rows(run), written)
    if written:
        rows = [dict(zip(_SCHEMA.names, (key, *each), strict=True)) for key, each in sorted(written.items())]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), buffer, compression="zstd")
        run.folder.put(DESCRIBED, buffer.getvalue())


def owed_descriptions(run: RunFolder) -> Iterator[list[Owed]]:
    """What was noted, some at a time; nothing of a run that noted nothing."""
    if run.folder.exists(DESCRIBED):
        rows = pq.read_table(io.BytesIO(run.folder.read(DESCRIBED))).to_pylist()
        yield from in_portions({(row["key"], row["sha256"], row["bytes"]) for row in rows})


def description_faults(run: RunFolder, *, reads: bool) -> list[str]:
    """One line for each such object that is missing or another; the list may be damaged itself."""
    try:
        portions = list(owed_descriptions(run))
    except (OSError, ValueError) as error:
        return [f"{DESCRIBED}: is damaged ({type(error).__name__})"]
    check = ObjectCheck(run, reads, of_results=False)
    return [fault for owed in portions for fault in check(owed)]
