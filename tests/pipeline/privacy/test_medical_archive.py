"""All files with pixels of pydicom and pydicom-data through a run: restored, or the expected reason."""

import io

import numpy as np
import pytest

from tests.dicom_samples import NOT_READ, decoded, parsed, pydicom, samples, why_not_written
from tests.helpers import complete, restore

# 360 channels of 480 x 640: as long as all others together, and refused like the other film.
NAMES = [name for name in samples() if name != "color3d_jpeg_baseline.dcm"]


@pytest.fixture(scope="module")
def run_of_all(tmp_path_factory):
    """The rows of an identity run over every sample, each image for itself, and where the results lie."""
    root = tmp_path_factory.mktemp("pacs")
    for name in NAMES:
        link = root / "in" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(samples()[name])
    # The samples are the same few images in many encodings: as series they would contradict themselves.
    dataset = {"name": "pydicom", "uri": str(root / "in"), "private": False, "series": "single"}
    job = restore(
        "",
        root / "out",
        datasets=[dataset],
        restorers=["identity"],
        quarantine={"threshold": 1.0, "stop_share": 1.0},
    )
    return complete(job), root / "out"


def test_every_file_is_restored_or_has_exactly_the_expected_reason(run_of_all):
    rows, _ = run_of_all
    assert len(rows) == len(NAMES) >= 159
    expected = {name: NOT_READ.get(name) or why_not_written(name) for name in NAMES}
    assert {row["key"]: row["reason"] for row in rows} == expected
    stages = {row["stage"] for row in rows if row["key"] in NOT_READ}
    assert stages == {"decode"}
    assert {row["stage"] for row in rows if row["key"] not in NOT_READ} == {None, "encode"}


def test_what_is_restored_holds_the_same_pixels_under_a_new_identity(run_of_all):
    rows, out = run_of_all
    good = [row["key"] for row in rows if row["status"] == "ok"]
    assert len(good) >= 120
    for name in good:
        made = parsed(out / name)
        source = parsed(samples()[name])
        assert made.SOPInstanceUID != source.SOPInstanceUID
        assert made.get("PatientID") == source.get("PatientID")
    for name in good[::6]:
        again = pydicom.dcmread(io.BytesIO((out / name).read_bytes())).pixel_array
        image = decoded(name)
        stored = image.pixels_HWC
        if parsed(samples()[name]).PhotometricInterpretation == "MONOCHROME1":
            stored = 2 ** parsed(samples()[name]).BitsStored - 1 - stored
        if again.ndim == 3 and again.shape[-1] != 3:
            again = np.moveaxis(again, 0, 2)
        np.testing.assert_array_equal(again.reshape(stored.shape), stored)
