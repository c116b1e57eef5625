"""How many images have a floor, one below what is needed, intervals or flags, and why others have none.

Counts of parts of a table add up, so that a page on millions of images counts all of them, not those that it
shows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ledger.schema import IN_STRIPS, OK, TRUST_REASONS

LADDER = (20.0, 25.0, 28.0, 30.0, 32.0, 35.0, 40.0)
"""dB that floors are counted below, beside what the job needs."""
DOUBTFUL = {"psnr_floor": "ascending", "uncertainty_mean": "descending", "flags": "descending"}
"""From which end of a column the most doubtful images come."""
TOTALS = b"restora_totals"


def trust_counts(table: pa.Table, needed: float) -> Counter[str]:
    """Of the rows of a metric table, by name: what is known, below or above something, or has a reason.

    ``needed`` in dB. Names are of ``known``, ``below``, ``flagged`` and ``without``.
    """
    counts: Counter[str] = Counter()
    good = table.filter(pc.equal(table["status"], OK))
    for name, reason in TRUST_REASONS.items():
        if not {name, reason} <= set(good.column_names):
            continue
        value = good[name]
        counts[known(name)] += len(value) - value.null_count
        said = good.filter(pc.is_null(value))[reason].fill_null(IN_STRIPS).value_counts().to_pylist()
        for each in said:
            counts[without(name, each["values"].partition(":")[0])] += each["counts"]
    if "psnr_floor" in good.column_names:
        for decibels in {*LADDER, needed}:
            counts[below(decibels)] += pc.sum(pc.less(good["psnr_floor"], decibels)).as_py() or 0
    if "flags" in good.column_names:
        counts[flagged()] += pc.sum(pc.greater(good["flags"], 0)).as_py() or 0
    return counts


def counts_of(table: pa.Table) -> Mapping[str, int]:
    """As ``trust_counts``, of the whole table where this one is drawn from it."""
    metadata = table.schema.metadata or {}
    totals = json.loads(metadata.get(TOTALS, b"{}"))
    if "trust" in totals:
        return Counter(totals["trust"])
    job = json.loads(metadata.get(b"restora", b"{}")).get("job") or {}
    return trust_counts(table, float(job.get("psnr_needed", LADDER[3])))


def reasons_without(table: pa.Table, name: str) -> list[tuple[str, int, str]]:
    """(Code, images without a value in this column, what one of the rows that are here says), most first."""
    counts, start = counts_of(table), without(name, "")
    found = {key.removeprefix(start): number for key, number in counts.items() if key.startswith(start)}
    texts = table.filter(pc.equal(table["status"], OK))[TRUST_REASONS[name]].drop_null().unique().to_pylist()
    example = {text.partition(":")[0]: text.partition(":")[2].strip() for text in [*texts[::-1], IN_STRIPS]}
    order = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return [(code, number, example.get(code, "")) for code, number in order if number]


def known(name: str) -> str:
    """Name of the count of rows with a value in this column."""
    return name


def below(decibels: float) -> str:
    """Likewise, of floors below this."""
    return f"psnr_floor < {decibels:g}"


def flagged() -> str:
    """Likewise, of images with a flag."""
    return "flags > 0"


def without(name: str, code: str) -> str:
    """Likewise, of rows without a value for this reason."""
    return f"{name} null: {code}"
