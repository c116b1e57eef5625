"""Incremental tables say what reading everything says: ``python -m benchmarks.equality --rows 100000``.

A synthetic archive grows over four nights: most images, some more, some gone, and what failed tried again.
Each night is planned, committed unit by unit, sealed and compacted, as a table in one file and in parts,
both of which go on from theirs of the night before. Beside them every file of a unit is kept as it was
committed, and at the end read one by one and row by row in Python, as tables were made before there were
segments: which rows count, their values, counts, means, medians, and intervals by a plain bootstrap. Then
tables and report are made once more from those files alone.

Everything has to be equal, but for intervals, which lie within the error that drawing them has, and for the
median of more images than a part keeps (65,536), whose rank may be off by 0.8 %: four times its error.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import OPTIONS, Arithmetic, commit_units, job_of

from pipeline import run
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import RunFolder, open_run
from pipeline.planning.plan_files import SOURCES
from pipeline.results import tables
from pipeline.results.metric_sums import SAMPLE

Row = dict[str, Any]
METRICS = ("psnr", "ssim")
KINDS = {"one file": 1 << 40, "parts": 1000}
"""Rows from which a table is in parts."""
MADE = ("tables", "report")
REPEATS, RESAMPLES = 5, 1000
ERRORS = 4
"""So many standard errors may an end of an interval be off."""


class Changing(Arithmetic):
    """An archive from which some go: one of 97."""

    some_are_gone = False

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """As above, without them."""
        found = super().ls(path, detail, **options)
        if not self.some_are_gone or "/" not in path:
            return found
        return [each for each in found if int(each["name"][-13:-4]) % 97]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--scratch", help="where the run folders go")
    chosen = parser.parse_args()
    fsspec.register_implementation("synthetic", Changing)
    sealing.SEAL_AT = 40
    with tempfile.TemporaryDirectory(prefix="restora-equality-", dir=chosen.scratch) as folder:
        compare(folder, chosen.rows)


def compare(folder: str, rows: int) -> None:
    """Both ways to keep tables against reading everything."""
    kept = Path(folder, "kept")
    for images, is_retry, are_gone in nights(rows):
        Changing.count, Changing.some_are_gone = images, are_gone
        opened = night(folder, kept, is_retry)
    expected, found = rows_that_count(kept, ids_of_plan(opened)), {}
    for kind in KINDS:
        with tables_of(opened, kind):
            found[kind] = told(opened)
        same_rows(found[kind][0], expected)
        same_summary(found[kind][1], expected, kind)
    tables.ONE_FILE_ROWS, sealing.SEAL_AT = 1 << 40, 1 << 40
    with run.open_run(job_of(folder), OPTIONS) as opened:
        back_to_files(opened, kept)
        run.compact(opened)
        run.report(opened)
    again = told(opened)
    expected_words = words_of(again[2])
    for kind, (table, summary, page) in found.items():
        same_tables((table, summary), again[:2], exact=kind == "one file")
        if kind == "one file":
            assert words_of(page) == expected_words, "the report says something else"
        print(f"{kind}: {len(table):,} rows, {len(expected_words):,} words of the report", flush=True)


@contextmanager
def tables_of(opened: RunFolder, kind: str) -> Iterator[None]:
    """Tables and report of this kind are those of the run, as long as the block lasts."""
    tables.ONE_FILE_ROWS = KINDS[kind]
    root, aside = Path(opened.folder.root), Path(opened.folder.root).parent / kind
    aside.mkdir(exist_ok=True)
    for path in list(aside.iterdir()):
        path.rename(root / path.name)
    yield
    for name in MADE:
        (root / name).rename(aside / name)


def nights(rows: int) -> Iterator[tuple[int, bool, bool]]:
    """How many images there are, whether only what failed is done, whether some are gone."""
    yield rows * 9 // 10, False, False
    yield rows, False, False
    yield rows, False, True
    yield rows, True, True


def night(folder: str, kept: Path, is_retry: bool) -> RunFolder:
    """As a run is, without the images; units' files are kept aside before they are merged."""
    options = run.Options(engine="local", retry=is_retry) if is_retry else OPTIONS
    with run.open_run(job_of(folder), options) as opened:
        run.plan(opened, options)
        commit_units(opened, most_files=1 << 40, altered=altered)
        shutil.copytree(Path(opened.folder.root, opened.ledger.prefix), kept, dirs_exist_ok=True)
        for kind in KINDS:
            with tables_of(opened, kind):
                run.compact(opened)
                assert run.verify(opened).is_whole
                run.report(opened)
    return opened


def altered(row: Row) -> Row:
    """Some scores are infinite or undefined, some images fail, a third of those again."""
    lot = int(row["source_id"][:8], 16) % 300
    if lot < 3 and (row["attempt"] == 0 or lot == 0):
        none = {f"{metric}{suffix}": None for metric in METRICS for suffix in ("", "_degraded")}
        return row | none | {"status": "quarantined", "reason": f"REASON_{lot}", "stage": "decode"}
    special = {3: math.inf, 4: None}
    return row | {"psnr": special[lot]} if lot in special else row


def ids_of_plan(opened: RunFolder) -> set[str]:
    return set(
        pq.read_table(Path(opened.folder.root, SOURCES), columns=["source_id"])["source_id"].to_pylist()
    )


def rows_that_count(kept: Path, listed: set[str]) -> list[Row]:
    """Every file, every row: of a source the newest attempt, of equal ones the first unit by name."""
    newest: dict[str, Row] = {}
    for path in sorted(kept.rglob("*.parquet"), key=lambda path: path.name):
        for row in pq.ParquetFile(path).read().to_pylist():
            before = newest.get(row["source_id"])
            if row["source_id"] in listed and (before is None or row["attempt"] > before["attempt"]):
                newest[row["source_id"]] = row
    return sorted(newest.values(), key=lambda row: str(row["source_id"]))


def same_rows(table: pa.Table, expected: list[Row]) -> None:
    """Every column that the ledger has."""
    table = table.sort_by("source_id")
    assert len(table) == len(expected), (len(table), len(expected))
    stored = {name for row in expected for name in row}  # a unit's file has no columns without values
    compared = [name for name in table.column_names if name in stored]
    assert set(compared) >= {"source_id", "key", "status", "reason", "seed", "attempt", "unit_id", *METRICS}
    for name in compared:
        found = [_told(each) for each in table[name].to_pylist()]
        assert found == [_told(row.get(name)) for row in expected], name


def _told(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def same_summary(summary: pa.Table, expected: list[Row], kind: str) -> None:
    """Counts and means are equal, medians too where all scores are kept, intervals within their error."""
    for row in summary.to_pylist():
        metric = row["metric"]
        score, degraded = (_column(expected, name) for name in (metric, f"{metric}_degraded"))
        finite, gain = score[np.isfinite(score)], score - degraded
        gain = gain[np.isfinite(gain)]
        counts = {
            "n": len(finite),
            "n_quarantined": sum(each["status"] != "ok" for each in expected),
            "n_infinite": int(np.isinf(score).sum()),
        }
        counts["n_undefined"] = len(expected) - sum(counts.values())
        assert {name: row[name] for name in counts} == counts, (kind, metric)
        means = {"mean": finite, "gain": gain, "mean_degraded": degraded[np.isfinite(degraded)]}
        for name, values in means.items():
            assert math.isclose(row[name], math.fsum(values.tolist()) / len(values), rel_tol=1e-12), name
        rank = float(np.mean(finite < row["median"]))
        is_exact = kind == "one file" or len(expected) <= SAMPLE
        assert row["median"] == np.median(finite) if is_exact else abs(rank - 0.5) < 0.008, (kind, rank)
        for values, names in ((finite, ("low", "high")), (gain, ("gain_low", "gain_high"))):
            off = np.abs([row[name] for name in names] - (ends := intervals(values.tobytes())).mean(axis=0))
            error = ends.std(axis=0, ddof=1)
            assert (off <= ERRORS * error).all(), (kind, metric, names, off / error)
            shown = ", ".join(f"{each:.1f}" for each in off / error)
            print(f"{kind}, {metric}, {names[0]} and {names[1]}: {shown} standard errors off", flush=True)


def _column(rows: list[Row], name: str) -> NDArray[np.float64]:
    # A unit's file has no column without values: of one all of whose images failed no scores.
    values = (row.get(name) for row in rows)
    return np.array([math.nan if each is None else each for each in values], np.float64)


@lru_cache
def intervals(scores: bytes) -> NDArray[np.float64]:
    """Of the mean, by resampling every image; each of some repeats has its own draws."""
    values = np.frombuffer(scores)
    rng, found = np.random.default_rng(7), []
    for _ in range(REPEATS):
        means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLES)]
        found.append(np.quantile(means, (0.025, 0.975)))
    return np.array(found)


def back_to_files(opened: RunFolder, kept: Path) -> None:
    """The ledger as it was before there were segments; tables and report are made from nothing."""
    root = Path(opened.folder.root)
    shutil.rmtree(root / "ledger")
    shutil.copytree(kept, root / opened.ledger.prefix)


def told(opened: RunFolder) -> tuple[pa.Table, pa.Table, str]:
    """Table, summary and page of a run."""
    page = Path(opened.folder.root, "report", "index.html").read_text(encoding="utf-8")
    return tables.read_metrics(open_run(opened.job)), tables.read_summary(opened), page


def same_tables(found: tuple[pa.Table, ...], expected: tuple[pa.Table, ...], exact: bool) -> None:
    """What the product makes of units' files alone, all of them in one go."""
    table, again = (each[0].sort_by("source_id") for each in (found, expected))
    assert table.equals(again, check_metadata=True), "rows or metadata"
    drawn = () if exact else ("low", "high", "gain_low", "gain_high", "median")
    for row, other in zip(found[1].to_pylist(), expected[1].to_pylist(), strict=True):
        for name in other.keys() - set(drawn):
            value, its = other[name], row[name]
            assert its == value or math.isclose(its, value, rel_tol=1e-12), (name, its, value)


def words_of(page: str) -> list[str]:
    """What a report says, without its pictures, its styles and its times."""
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script|svg).*?</\1>", " ", page, flags=re.DOTALL))
    return re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.+Z]*|\d+(\.\d+)? (ms|s|min)\b", " ", text).split()


if __name__ == "__main__":
    main()
