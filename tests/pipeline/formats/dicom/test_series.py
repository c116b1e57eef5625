"""Which images of a series belong together, and in which order they lie."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.dicom.format import Dicom
from tests.dicom_samples import pydicom, restored, samples

dicom_series = pytest.importorskip("pipeline.formats.dicom.series")
read_member, stacked = dicom_series.read_member, dicom_series.stacked


def series(folder: str) -> list[Path]:
    return [path for name, path in samples().items() if f"/{folder}/" in name]


def members(folder: str) -> list:
    return [read_member(path.read_bytes()) for path in series(folder)]


def refused(group) -> str:
    with pytest.raises(ImageError) as refusal:
        stacked(group)
    assert not any(each.instance in str(refusal.value) for each in group)
    return refusal.value.reason


SLICES = members("CT5N")


def test_slices_lie_along_their_normal():
    positions = []
    for path in series("CT5N"):
        dataset = pydicom.dcmread(path)
        row, column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        positions.append(np.dot(np.cross(row, column), np.array(dataset.ImagePositionPatient, float)))
    assert len(positions) >= 4
    assert stacked(SLICES) == tuple(np.argsort(positions))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_arrival_does_not_matter(seed):
    order = np.random.default_rng(seed).permutation(len(SLICES))
    shuffled = [SLICES[index] for index in order]
    assert [shuffled[index] for index in stacked(shuffled)] == [SLICES[index] for index in stacked(SLICES)]


def test_the_header_is_enough():
    data = series("CT5N")[0].read_bytes()
    head = data[: data.rindex(b"\xe0\x7f\x10\x00") + 12]
    assert read_member(head) == read_member(data) == SLICES[0]


def test_two_slices_at_one_place():
    twin = replace(SLICES[1], position=SLICES[0].position)
    assert refused([*SLICES[:1], twin, *SLICES[2:]]) == "SERIES_INCONSISTENT"
    near = replace(SLICES[0], instance="digest-of-a-twin", position=tuple(np.add(SLICES[0].position, 1e-4)))
    assert refused([*SLICES, near]) == "SERIES_INCONSISTENT"


def test_one_image_twice():
    assert refused([*SLICES, SLICES[2]]) == "SERIES_INCONSISTENT"


@pytest.mark.parametrize("attribute", ["series", "frame_of_reference", "kind"])
def test_images_of_several_series(attribute):
    other = replace(
        SLICES[0], **{attribute: ("x",) if attribute == "kind" else "x", "instance": "digest-of-a-twin"}
    )
    assert refused([*SLICES, other]) == "SERIES_INCONSISTENT"


def test_two_series_of_one_study_are_not_one():
    assert refused([*members("CT5N"), *members("CT2N")]) == "SERIES_INCONSISTENT"


def test_localizers_and_other_spacings_are_told_from_slices():
    turned = replace(SLICES[0], directions=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0), instance="digest-of-a-twin")
    assert refused([*SLICES, turned]) == "SERIES_INCONSISTENT"
    finer = replace(SLICES[0], spacing=(0.1, 0.1), instance="digest-of-a-twin")
    assert refused([*SLICES, finer]) == "SERIES_INCONSISTENT"


@pytest.mark.parametrize("attribute", ["position", "directions", "spacing"])
def test_missing_geometry(attribute):
    assert refused([*SLICES[1:], replace(SLICES[0], **{attribute: None})]) == "BAD_GEOMETRY"


def test_a_single_image_needs_no_geometry_and_no_image_is_no_series():
    assert stacked([replace(SLICES[0], position=None)]) == (0,)
    assert refused([]) == "SERIES_INCONSISTENT"


def test_a_restored_series_is_a_series_again():
    names = [name for name in samples() if "/CT5N/" in name]
    again = [read_member(Dicom().encode(restored(name, 2))) for name in names]
    assert stacked(again) == stacked(SLICES)
    assert {each.series for each in again}.isdisjoint({each.series for each in SLICES})
