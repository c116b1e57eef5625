"""What the page of a restore run counts: the same of parts as of the whole, and of all, whatever it shows."""

import json
from datetime import UTC, datetime

import pyarrow as pa

from pipeline.report.doubts import doubts_of, most_doubtful
from pipeline.report.floors import floors_of
from pipeline.results import report_rows
from pipeline.results.trust_counts import TOTALS, trust_counts
from pipeline.trust.protocol import estimate_protocol
from tests.helpers import restore
from tests.pipeline.trust.test_calibration import calibration


def header():
    """When it is asked for: a calibration takes a second, and every process collects all tests."""
    return {
        "kind": "restore",
        "job": {"psnr_needed": 31.0},
        "psnr_estimate": estimate_protocol(calibration(count=120)),
        "uncertainty": {"condition": "holds if exchangeable", "alpha": 0.1, "images": 54},
        "flags": {"condition": "holds if exchangeable", "rate": 0.05, "images": 54},
    }


def job_of(folder):
    unsure = {"name": "median", "uncertainty": "posterior"}
    return restore(folder / "in", folder / "out", restorers=[unsure], psnr_estimate=True, flags=True)


def archive(job, count=40):
    """Rows as a table has them: floors from 25 dB on, four in ten images without any."""
    columns = {name: pa.nulls(count, pa.string()) for name in report_rows.report_columns(job)}
    every = range(count)
    floors = [None if i % 5 < 2 else 25 + (7 * i % count) / 4 for i in every]
    reasons = {0: "SIZE: 9 samples", 1: None}
    columns |= {
        "dataset": pa.array(["scans"] * count),
        "key": pa.array([f"{i:02d}.png" for i in every]),
        "source_id": pa.array([f"{97 * i % 256:02x}{i:02x}" + "0" * 60 for i in every]),
        "degradation": pa.array(["none"] * count),
        "restorer": pa.array(["median"] * count),
        "status": pa.array(["ok"] * (count - 1) + ["quarantined"]),
        "seconds": pa.array([1.0] * count),
        "finished_at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count),
        "psnr_floor": pa.array(floors, pa.float64()),
        "psnr_estimate": pa.array(floors, pa.float64()),
        "psnr_reason": pa.array([reasons.get(i % 5) for i in every], pa.string()),
        "uncertainty_mean": pa.array([i / 1000 for i in every]),
        "uncertainty_p95": pa.array([i / 500 for i in every]),
        "flags": pa.array([i % 3 for i in every]),
    }
    return pa.table(columns).replace_schema_metadata({"restora": json.dumps(header())})


def test_parts_add_up_to_the_whole(tmp_path):
    whole = archive(job_of(tmp_path))
    added = sum(
        (trust_counts(whole.slice(i, 7), 31.0) for i in range(0, 40, 7)), start=trust_counts(whole[:0], 31.0)
    )
    assert added == trust_counts(whole, 31.0)


def test_a_page_counts_all_images_and_shows_the_most_doubtful_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(report_rows, "IMAGES", 3)
    job = job_of(tmp_path)
    whole = archive(job)
    drawing = report_rows.ReportRows(job)
    for first in range(0, 40, 8):
        drawing.add(whole.slice(first, 8))
    drawn = drawing.table(whole.schema)
    assert len(drawn) < len(whole)
    totals = json.dumps({"trust": trust_counts(whole, 31.0)})
    drawn = drawn.replace_schema_metadata(whole.schema.metadata | {TOTALS: totals.encode()})
    ours, all_ = floors_of(drawn), floors_of(whole)
    assert ours.sentence == all_.sentence
    assert (ours.below, ours.ladder, ours.hidden) == (all_.below, all_.ladder, all_.hidden)
    assert ours.lowest == all_.lowest
    assert {code: number for code, number, _ in ours.without} == {"SIZE": 8, "STRIPS": 8}
    for mine, every in zip(doubts_of(drawn, []).kinds, doubts_of(whole, []).kinds, strict=True):
        assert mine.hidden == every.hidden
        assert [each["key"] for each in mine.images] == [each["key"] for each in every.images]
    assert doubts_of(drawn, []).kinds[1].sentence == doubts_of(whole, []).kinds[1].sentence
    assert most_doubtful(drawn) == most_doubtful(whole)
