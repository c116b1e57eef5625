"""A large metric table in one file, of which what stands is kept: a section for each part of the ledger.

A segment of the ledger never changes, so its section stays as it is, byte by byte, as long as the same of its
rows count and the sections before it stay. Its counts are kept in the file's metadata, and what the report
shows of it beside the table. A section that has not the digest that it was written with is written anew.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.ledger.ledger import LedgerPart
from pipeline.ledger.run_folder import RunFolder
from pipeline.results.distance_table import DistanceTable
from pipeline.results.growing_file import GrowingFile, sha256_between
from pipeline.results.part_counts import Mask, PartCounts, counted_rows, digest_of, kept_of, state_of
from pipeline.results.parts import TABLE, Part, put_table, read_side
from pipeline.results.report_rows import ReportRows
from pipeline.results.table_rows import Scores, summed_up, write_rows
from pipeline.results.tally import Tally
from pipeline.storage.folder import Folder

SECTIONS = b"restora_sections"
"""In the metadata of the file: what is in which."""


@dataclass
class Section:
    """What the file holds of one part of the ledger."""

    name: str
    """Of the part."""
    part: Part
    """What the tables hold of it; with no keys."""
    start: int
    end: int
    """Bytes of the file."""
    groups: int
    """Row groups."""
    sha256: str
    """Of its bytes, its footer among them."""


class SectionWriter:
    """``write`` the table of a run to ``path``; then it knows what it has to say of all rows."""

    def __init__(self, run: RunFolder, schema: pa.Schema, counts: PartCounts, path: Path) -> None:
        self._run, self._schema, self._counts, self._path = run, schema, counts, path
        self.sections: list[Section] = []
        self.scores = Scores(run, schema)
        self.shown = ReportRows(run.job)
        self.distances = DistanceTable(run.job.distances)

    def write(self, parts: list[LedgerPart], metadata: Mapping[bytes, str]) -> None:
        """All ``parts`` of the ledger; ``metadata`` of the file beside that of the schema."""
        self.sections = self._standing(parts)
        ends = [each.end for each in self.sections]
        with GrowingFile(self._path, self._schema, ends) as file:
            for part in parts[len(ends) :]:
                self.sections.append(self._written(part, file))
            described = json.dumps([asdict(each) for each in self.sections])
            file.finish({**metadata, SECTIONS: described})

    def _standing(self, parts: list[LedgerPart]) -> list[Section]:
        """The first sections of the table that is there, as many as are what they would be now."""
        found = _named_alike(_sections_of(self._run.folder), parts)
        if not found:
            return []
        self._run.folder.fetch(TABLE, self._path)
        standing: list[Section] = []
        with pq.ParquetFile(self._path) as file:
            for section, part in zip(found, parts, strict=False):
                masks = self._counts.masks(part)
                is_same = section.part.state == state_of(self._run, self._schema, part, digest_of(masks))
                drawn = _drawn_of(self._run.folder, section.part) if is_same else None
                if drawn is None or self._sha256(section) != section.sha256:
                    break
                first = sum(each.groups for each in standing)
                groups = list(range(first, first + section.groups))
                self.scores.add(file.read_row_groups(groups, self.scores.names))
                self.shown.add(drawn)
                if self._run.job.distances:
                    for _, kept in counted_rows(part, masks):
                        self.distances.add(kept)
                standing.append(section)
        return standing

    def _written(self, part: LedgerPart, file: GrowingFile) -> Section:
        start = file.end
        tally, total = Tally(self._run, self._schema), Counter[str]()
        masks: list[Mask] = []

        def current() -> Iterator[tuple[pa.Table, pa.Table]]:
            for table in part.tables(None):
                masks.append(self._counts.mask(table))
                yield table, kept_of(table, masks[-1])

        with file.section() as section:
            rows = summed_up(self._run, self._schema, current(), total, self.distances)
            write_rows(section, rows, self.scores.add, tally.add)
        state = state_of(self._run, self._schema, part, digest_of(masks))
        found = Part(state, [], dict(total), dict(tally.reasons), dict(tally.trust))
        drawn = tally.shown.table(self._schema)
        put_table(self._run.folder, found.side("report"), drawn)
        self.shown.add(drawn)
        return Section(part.name, found, start, file.end, file.groups, file.sha256_from(start))

    def _sha256(self, section: Section) -> str:
        with self._path.open("rb") as file:
            return sha256_between(file, section.start, section.end)


def _sections_of(folder: Folder) -> list[Section]:
    """Those of the table that is there; none where it is not a file of such."""
    try:
        with folder.open(TABLE) as file:
            described = (pq.ParquetFile(file).metadata.metadata or {})[SECTIONS]
        return [Section(**{**each, "part": Part(**each["part"])}) for each in json.loads(described)]
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return []  # derived data: all is written anew


def _named_alike(sections: list[Section], parts: list[LedgerPart]) -> list[Section]:
    """The first sections, as long as they are of the parts that there are now."""
    pairs = zip(sections, parts, strict=False)
    return [section for section, _ in takewhile(lambda pair: pair[0].name == pair[1].name, pairs)]


def _drawn_of(folder: Folder, part: Part) -> pa.Table | None:
    """What the report shows of a section; ``None`` where that is not there as it was written."""
    try:
        return read_side(folder, part, "report")
    except (OSError, pa.ArrowException):
        return None
