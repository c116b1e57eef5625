"""Doubts of a restore run on its page: counts, names, reasons, condition, and where on the images."""

import json

import numpy as np
import pyarrow as pa

from pipeline.report.doubt_pictures import _tinted
from pipeline.report.doubts import doubts_of, most_doubtful

HEADER = {
    "uncertainty": {"condition": "holds if exchangeable", "alpha": 0.1, "images": 54, "held_out": 0.0412},
    "flags": {"condition": "holds if exchangeable", "rate": 0.05, "images": 39},
}


def table(widths, flags, header=HEADER):
    rows = len(widths)
    columns = {
        "dataset": ["scans"] * rows,
        "key": [f"{i}.png" for i in range(rows)],
        "status": ["ok"] * rows,
        "psnr_floor": pa.array([30.0 - i for i in range(rows)], pa.float64()),
        "uncertainty_mean": pa.array(widths, pa.float64()),
        "uncertainty_p95": pa.array(widths, pa.float64()),
        "uncertainty_reason": pa.array(
            [None if each is not None else "SIZE: 9 samples" for each in widths], pa.string()
        ),
        "flags": pa.array(flags, pa.int64()),
        "flags_reason": pa.array([None] * rows, pa.string()),
    }
    return pa.table(columns).replace_schema_metadata({"restora": json.dumps(header)})


def test_widest_and_most_flagged_lead_with_their_condition():
    found = doubts_of(table([0.1, None, 0.2, 0.05], [0, 4, 1, 0]), [])
    intervals, flags = found.kinds
    assert [each["key"] for each in intervals.images] == ["2.png", "0.png", "3.png"]
    assert intervals.without == [("SIZE", 1, "9 samples")]
    assert "±25.5 of 255" in intervals.sentence
    assert [each["key"] for each in flags.images] == ["1.png", "2.png"]
    assert flags.sentence.startswith("2 of 4 images have patches")
    assert {intervals.condition, flags.condition} == {"holds if exchangeable"}


def test_each_says_how_many_images_its_calibration_had_and_how_it_held():
    intervals, flags = doubts_of(table([0.1], [0]), []).kinds
    assert intervals.calibration == (
        "The calibration is of 54 images; of those that it had not seen 4.1% of samples lay outside; 10% may."
    )
    assert flags.calibration == "The calibration is of 39 images."
    unseen = {"uncertainty": HEADER["uncertainty"] | {"held_out": None}}
    assert doubts_of(table([0.1], [0], unseen), []).kinds[0].calibration == "The calibration is of 54 images."


def test_pictures_are_of_the_lowest_widest_and_most_flagged_in_turn():
    rows = table([0.1, None, 0.2, 0.05], [0, 4, 1, 0])
    assert most_doubtful(rows, 3) == [("scans", "3.png"), ("scans", "2.png"), ("scans", "1.png")]


def test_a_run_without_either_has_no_such_section():
    assert doubts_of(table([0.1], [0], {}), []) is None


def test_flagged_patches_are_tinted_where_they_are():
    grey = np.full((40, 50, 3), 100, np.uint8)
    ratio = np.zeros((3, 4), np.float32)
    ratio[1, 3] = 1.5
    tinted = _tinted(grey, ratio, 1)
    assert tinted.shape == grey.shape
    changed = (tinted != 100).any(axis=2)
    assert changed[16:32, 48:].all()
    assert changed.sum() == 16 * 2
