"""What a run writes down beside its weights: a table, sheets of samples, what was left out.

OUT/table.parquet        a row every few steps and at every validation
OUT/samples/step-*.png   degraded, restored and true pictures; or generated ones
OUT/skipped.json         images that are not trained on, with the reason
OUT/report.html          curves and sheets
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import RunStopped, describe
from pipeline.storage.folder import Folder
from pipeline.training.trackers.base import Tracker
from pipeline.training.validation.restorer import Pixels

TABLE, SKIPPED = "table.parquet", "skipped.json"
GAP = 4
"""Pixels between the pictures of a sheet."""

Row = dict[str, Any]


class RunLog:
    """Table, sheets and lists of one run; rows after the checkpoint that a run goes on from are forgotten."""

    def __init__(self, folder: Folder, identity: dict[str, Any], trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = trackers
        self.folder = folder
        self._identity = identity
        self.rows: list[Row] = []

    def resume(self, step: int) -> None:
        """Takes over the rows up to this step."""
        if self.folder.exists(TABLE):
            try:
                rows = pq.read_table(io.BytesIO(self.folder.read(TABLE))).to_pylist()
            except pa.ArrowInvalid as error:
                raise RunStopped(
                    f"{self.folder.uri(TABLE)} is damaged ({describe(error)}); delete it to go on without "
                    "the rows of before, or restore it from a copy"
                ) from error
            self.rows = [_present(row) for row in rows if row["step"] <= step]

    def add(self, row: Row) -> None:
        """A row; one of the same step is completed by it."""
        for tracker in self._trackers:
            tracker.log(row["step"], {name: value for name, value in row.items() if name != "step"})
        if self.rows and self.rows[-1]["step"] == row["step"]:
            self.rows[-1] |= row
        else:
            self.rows.append(row)

    def close(self) -> None:
        """Ends the trackers."""
        for tracker in self._trackers:
            tracker.close()

    def write(self) -> None:
        """The table, whole."""
        names = dict.fromkeys(name for row in self.rows for name in row)
        columns = {name: [row.get(name) for row in self.rows] for name in names}
        table = pa.table(columns).replace_schema_metadata({b"restora": json.dumps(self._identity).encode()})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.folder.put(TABLE, buffer.getvalue())

    def skipped(self, skipped: dict[str, str]) -> None:
        """Lists what is not trained on."""
        self.folder.put(SKIPPED, json.dumps(skipped, indent=1).encode())

    def sheet(self, step: int, rows: tuple[tuple[Pixels, ...], ...]) -> None:
        """Keeps a sheet."""
        if rows:
            buffer = io.BytesIO()
            PIL.Image.fromarray(composed(rows)).save(buffer, "PNG", optimize=True)
            self.folder.put(f"samples/step-{step:09d}.png", buffer.getvalue())

    def sheets(self) -> list[str]:
        """Keys of all sheets, the oldest first."""
        return sorted(self.folder.keys("samples", ".png"))


def composed(rows: tuple[tuple[Pixels, ...], ...]) -> Pixels:
    """One picture of rows of pictures; smaller ones are enlarged by whole pixels to their row's height."""
    strips = []
    for row in rows:
        height = max(picture.shape[0] for picture in row)
        parts = [_coloured(_enlarged(picture, height)) for picture in row]
        strips.append(_joined(parts, axis=1))
    return _joined(strips, axis=0)


def _enlarged(picture: Pixels, height: int) -> Pixels:
    factor = max(1, height // picture.shape[0])
    return np.repeat(np.repeat(picture, factor, axis=0), factor, axis=1)


def _coloured(picture: Pixels) -> Pixels:
    return picture[:, :, :3] if picture.shape[2] >= 3 else np.repeat(picture[:, :, :1], 3, axis=2)


def _joined(parts: list[Pixels], axis: int) -> Pixels:
    other = 1 - axis
    length = max(part.shape[other] for part in parts)
    padded = []
    for part in parts:
        space = [(0, 0), (0, 0), (0, 0)]
        space[other] = (0, length - part.shape[other])
        space[axis] = (0, GAP)
        padded.append(np.pad(part, space, constant_values=255))
    return np.concatenate(padded, axis=axis)


def _present(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
