"""What ran, counted from the table and from what the caller knows of the run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import REASONS
from pipeline.report.notation import duration
from pipeline.report.run_provenance import RunProvenance
from pipeline.results.trust_counts import TOTALS
from pipeline.wording import number_of

QUARANTINE_SHOWN = 50
NOTES_SHOWN = 3


@dataclass(frozen=True)
class RunFacts:
    """Counts and header of one metric table."""

    kind: str
    job: dict[str, Any]
    recipe: dict[str, Any]
    recipe_id: str
    rows: int
    ok: int
    images: int
    datasets: list[str]
    degradations: list[str]
    restorers: list[str]
    devices: list[str]
    code_versions: list[str]
    finished_at: str
    row_seconds: float
    drawn: int | None
    """How many images the table has rows of, where it is drawn from a larger one."""
    notes: list[str]
    """What the rows that are ok say, most frequent first, each with its number of images."""

    @property
    def title(self) -> str:
        """The job's name, else its kind."""
        return str(self.job.get("name") or f"{self.kind} run")

    @property
    def quarantined(self) -> int:
        """Rows that are not ok."""
        return self.rows - self.ok


def run_facts(table: pa.Table) -> RunFacts:
    """Counts a table; empty columns are fine."""
    header = json.loads((table.schema.metadata or {}).get(b"restora", b"{}"))
    totals = _totals(table)
    finished = pc.max(table["finished_at"]).as_py() if table.num_rows else None
    images = table.group_by(["dataset", "key"]).aggregate([]).num_rows
    return RunFacts(
        kind=str(header.get("kind", "benchmark")),
        job=header.get("job") or {},
        recipe=header.get("recipe") or {},
        recipe_id=str(header.get("recipe_id", "")),
        rows=totals.get("rows", table.num_rows),
        ok=totals.get("ok", int(pc.sum(pc.equal(table["status"], "ok")).as_py() or 0)),
        images=totals.get("images", images),
        drawn=images if totals else None,
        finished_at="" if finished is None else str(finished),
        row_seconds=0.0 if totals else float(pc.sum(table["seconds"]).as_py() or 0.0),
        **{f"{name}s": _distinct(table, name) for name in ("dataset", "degradation", "restorer", "device")},
        code_versions=_distinct(table, "code_version"),
        notes=_notes(table),
    )


def _totals(table: pa.Table) -> dict[str, Any]:
    """Counts of the whole, where the table is drawn from a larger one."""
    found: dict[str, Any] = json.loads((table.schema.metadata or {}).get(TOTALS, b"{}"))
    return found


def _distinct(table: pa.Table, name: str) -> list[str]:
    return sorted(str(value) for value in table[name].unique().to_pylist() if value)


def _notes(table: pa.Table) -> list[str]:
    said = table.filter(pc.and_(pc.equal(table["status"], "ok"), pc.is_valid(table["message"])))
    images = said.group_by(["message", "dataset", "key"], use_threads=False).aggregate([])
    counts = images.group_by("message", use_threads=False).aggregate([([], "count_all")]).to_pylist()
    counts.sort(key=lambda each: -int(each["count_all"]))
    return [f"{each['message']} ({number_of(each['count_all'], 'image')})" for each in counts]


def fact_lines(facts: RunFacts, provenance: RunProvenance) -> list[tuple[str, str]]:
    """Name and text of each fact in the page's head; what is unknown is left out."""
    lines = [
        ("Images", f"{facts.images:,}"),
        ("Datasets", _listed(facts.datasets, "dataset")),
        ("Degradations", "" if facts.kind == "restore" else _listed(facts.degradations, "degradation")),
        ("Restorers", _listed(facts.restorers, "restorer")),
        ("Rows", f"{facts.ok:,} ok, {facts.quarantined:,} quarantined"),
        ("Drawn", "" if facts.drawn is None else _drawn(facts.drawn)),
        ("Notes", ". ".join(facts.notes[:NOTES_SHOWN])),
        ("Duration", "" if provenance.seconds is None else duration(provenance.seconds)),
        ("Throughput", _throughput(facts, provenance)),
        ("Time in restorers", duration(facts.row_seconds) if facts.row_seconds else ""),
        ("Hardware", provenance.hardware or ", ".join(facts.devices)),
        ("Engine", provenance.engine),
        ("Finished", moment(provenance.finished_at or facts.finished_at)),
        ("Code", ", ".join(facts.code_versions)),
        ("Recipe", facts.recipe_id[:16]),
    ]
    return [(name, text) for name, text in lines if text]


def _drawn(images: int) -> str:
    return (
        f"distributions, comparisons, pictures and examples of quarantine from {images:,} images: at random, "
        "the best, the worst and what failed; means, intervals and counts of rows from all"
    )


def _listed(names: list[str], noun: str) -> str:
    return ", ".join(names) if len(names) <= 6 else number_of(len(names), noun)


def _throughput(facts: RunFacts, provenance: RunProvenance) -> str:
    rows = facts.rows if provenance.rows_done is None else provenance.rows_done
    if not provenance.seconds or not rows:
        return ""
    return f"{rows / provenance.seconds:,.1f} rows/s"


def moment(iso: str) -> str:
    """An ISO 8601 time to the minute, as it stands otherwise."""
    return iso[:16].replace("T", " ") + (" UTC" if iso.endswith(("+00:00", "Z")) else "") if iso else ""


@dataclass(frozen=True)
class QuarantineGroup:
    """All rows quarantined for one reason."""

    reason: str
    meaning: str
    rows: int
    examples: list[dict[str, Any]]
    """The first images: dataset, key, stage, message, degradation_distinct, restorer_distinct."""
    hidden: int
    """Images left out for want of space."""


def quarantine(table: pa.Table) -> list[QuarantineGroup]:
    """Quarantined rows by reason, most frequent first; 50 images over all reasons.

    Rows that differ only in restorer or degradation stand as one image.
    """
    held = table.filter(pc.not_equal(table["status"], "ok"))
    reasons = _totals(table).get("reasons")
    if reasons is None:
        reasons = {each["values"]: each["counts"] for each in held["reason"].value_counts().to_pylist()}
    counts = sorted(reasons.items(), key=lambda each: (-each[1], str(each[0])))
    share = max(QUARANTINE_SHOWN // max(len(counts), 1), 1)
    names = ["dataset", "key", "stage", "message"]
    groups = []
    for named, number in counts[:QUARANTINE_SHOWN]:
        rows = held.filter(pc.equal(held["reason"].fill_null(""), named or ""))
        images = rows.group_by(names, use_threads=False).aggregate(
            [("degradation", "distinct"), ("restorer", "distinct")]
        )
        reason = named or "UNKNOWN"
        meaning = REASONS.get(reason, "no reason was recorded")
        examples = images.slice(0, share).to_pylist()
        hidden = max(images.num_rows - share, 0)
        groups.append(QuarantineGroup(reason, meaning, number, examples, hidden))
    return groups
