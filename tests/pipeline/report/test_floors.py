"""The floors of a restore run on its page: counts, names, reasons, condition."""

import json

import pyarrow as pa

from pipeline.report.floors import floors_of, reliability_drawing
from pipeline.trust.calibration import CONDITION
from pipeline.trust.protocol import estimate_protocol
from tests.pipeline.trust.test_calibration import calibration


def table(floors, reasons):
    rows = len(floors)
    header = {
        "kind": "restore",
        "job": {"psnr_needed": 30.0},
        "psnr_estimate": estimate_protocol(calibration(count=120)),
    }
    columns = {
        "dataset": ["scans"] * rows,
        "key": [f"{i:02d}.png" for i in range(rows)],
        "status": ["ok"] * rows,
        "psnr_floor": pa.array(floors, pa.float64()),
        "psnr_estimate": pa.array([None if each is None else each + 1 for each in floors], pa.float64()),
        "psnr_reason": pa.array(reasons, pa.string()),
    }
    return pa.table(columns).replace_schema_metadata({"restora": json.dumps(header)})


def test_what_is_below_the_need_is_counted_and_named():
    found = floors_of(table([33.0, 28.5, None, 29.9, 36.0], [None, None, "SIZE: 9 samples", None, None]))
    assert found is not None
    assert (found.images, found.below) == (4, 2)
    assert [image["key"] for image in found.lowest] == ["01.png", "03.png", "00.png", "04.png"]
    assert ("30", 2, "50.0%") in found.ladder
    assert found.without == [("SIZE", 1, "9 samples")]
    assert found.sentence.startswith(
        "2 of 4 images with a floor under the PSNR have one below 30 dB; each floor"
    )
    assert CONDITION in found.condition
    assert "120 images" in found.calibration
    assert found.distribution is not None
    assert str(found.reliability).count("<circle") == 6


def test_images_that_all_lie_outside_have_no_floor():
    found = floors_of(table([None, None], ["BANDS: it has 3", "NOISE_LEVEL: 80.0/255"]))
    assert found is not None
    assert found.sentence == "No image has a floor under its PSNR: all lie outside the calibration."
    assert [code for code, _, _ in found.without] == ["BANDS", "NOISE_LEVEL"]
    assert found.distribution is None


def test_a_run_without_a_calibration_has_no_such_section():
    bare = table([30.0], [None]).replace_schema_metadata({"restora": json.dumps({"kind": "restore"})})
    assert floors_of(bare) is None
    assert reliability_drawing([]) is None
