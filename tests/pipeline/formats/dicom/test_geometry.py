"""Where a DICOM image lies in the patient, on its own grid and on a finer or coarser one."""

import io

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.dicom.format import Dicom
from tests.dicom_samples import (
    decoded,
    derived,
    enlarged,
    made,
    parsed,
    pydicom,
    restored,
    run_tool,
    samples,
)

FORMAT = Dicom()


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_first_pixel_lies_where_the_grid_says(factor):
    source, out = parsed(samples()["693_UNCR.dcm"]), derived("693_UNCR.dcm", factor)
    spacing = np.array(source.PixelSpacing, float)
    along_row, along_column = np.array(source.ImageOrientationPatient, float).reshape(2, 3)
    # C.7.6.2.1.1: position of column i, row j; the corner is half a pixel before the first centre.
    corner = source.ImagePositionPatient - (spacing[1] * along_row + spacing[0] * along_column) / 2
    finer = spacing / factor
    first = corner + (finer[1] * along_row + finer[0] * along_column) / 2
    np.testing.assert_allclose(np.array(out.ImagePositionPatient, float), first, atol=1e-6)
    np.testing.assert_allclose(np.array(out.PixelSpacing, float), finer, rtol=1e-9)
    assert (out.Rows, out.Columns) == (512 * factor, 512 * factor)
    assert out.get("FrameOfReferenceUID") == source.get("FrameOfReferenceUID")
    assert out.SourceImageSequence[0].SpatialLocationsPreserved == ("YES" if factor == 1 else "NO")


def test_a_shrunk_copy_of_a_cut_image_keeps_its_corner():
    image = decoded("CT_small.dcm")
    copy = parsed(io.BytesIO(FORMAT.encode(image.with_pixels(image.pixels_HWC[:126:3, :126:3]))))
    source = parsed(samples()["CT_small.dcm"])
    np.testing.assert_allclose(
        np.array(copy.PixelSpacing, float), 3 * np.array(source.PixelSpacing, float), rtol=1e-9
    )
    np.testing.assert_allclose(
        np.array(copy.ImagePositionPatient, float)[:2],
        np.array(source.ImagePositionPatient, float)[:2] + np.array(source.PixelSpacing, float),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"PixelSpacing": None},
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None},
        {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
        {"PixelSpacing": ["0", "1"]},
        {"ImagePositionPatient": ["1", "2"]},
    ],
)
def test_without_geometry_an_image_can_be_restored_but_not_enlarged(attributes):
    image = made(**attributes)
    FORMAT.encode(enlarged(image, 1))
    with pytest.raises(ImageError) as refusal:
        FORMAT.encode(enlarged(image, 2))
    assert refusal.value.reason == "BAD_GEOMETRY"
    assert any(keyword in str(refusal.value) for keyword in attributes)


def test_overlays_stay_or_go_with_the_grid():
    name = "MR-SIEMENS-DICOM-WithOverlays.dcm"
    source, same, larger = parsed(samples()[name]), derived(name), derived(name, 2)
    assert 0x60003000 in source
    assert same[0x60003000].value == source[0x60003000].value
    assert not [tag for tag in larger.keys() if tag.group >> 8 == 0x60]  # noqa: SIM118 - no dict
    assert "overlays dropped" in larger.DerivationDescription
    assert "overlays" not in derived("CT_small.dcm", 2).DerivationDescription


def test_shutters_regions_and_detectors_move_with_the_grid():
    region, detector = pydicom.Dataset(), pydicom.Dataset()
    region.RegionLocationMinX0, region.RegionLocationMaxX1 = 10, 19
    region.RegionLocationMinY0, region.RegionLocationMaxY1 = 0, 127
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.5, -0.25
    region.ReferencePixelX0, region.ReferencePixelPhysicalValueX = 3, 7.0
    region.DopplerSampleVolumeXPosition, region.TMLinePositionY1 = 5, 9
    detector.ImagePositionPatient = ["0", "0", "5"]
    detector.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    out = parsed(
        io.BytesIO(
            FORMAT.encode(
                enlarged(
                    made(
                        ShutterLeftVerticalEdge=1,
                        ShutterRightVerticalEdge=128,
                        CenterOfCircularShutter=[64, 32],
                        RadiusOfCircularShutter=30,
                        SequenceOfUltrasoundRegions=[region],
                        DetectorInformationSequence=[detector],
                        PixelSpacing=["4", "2"],
                    ),
                    2,
                )
            )
        )
    )
    # A pixel numbered p from 1 becomes 2 p - 1 and 2 p: half-way, rounded to even.
    assert out.ShutterLeftVerticalEdge in (1, 2)
    assert out.ShutterRightVerticalEdge in (255, 256)
    assert out.RadiusOfCircularShutter == 60
    moved = out.SequenceOfUltrasoundRegions[0]
    assert (moved.RegionLocationMinX0, moved.RegionLocationMaxX1) == (20, 39)
    assert (moved.RegionLocationMinY0, moved.RegionLocationMaxY1) == (0, 255)
    assert (moved.PhysicalDeltaX, moved.PhysicalDeltaY) == (0.25, -0.125)
    assert (moved.DopplerSampleVolumeXPosition, moved.TMLinePositionY1) == (10, 18)
    # The same physical value at the same place: source pixel 3's centre is 7.0, a quarter pixel on 7.125.
    at_source_centre = (3 + 0.5) * 2 - 0.5
    value = moved.ReferencePixelPhysicalValueX + (at_source_centre - moved.ReferencePixelX0) * 0.25
    assert value == pytest.approx(7.0)
    position = np.array(out.DetectorInformationSequence[0].ImagePositionPatient, float)
    np.testing.assert_allclose(position, [-0.5, -1.0, 5.0])


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "693_UNCR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm"]
)
def test_dcm2niix_sees_the_same_field_of_view_and_values(name, factor, tmp_path):
    nibabel = pytest.importorskip("nibabel", reason="needs the extra nifti")

    def converted(data, folder):
        (tmp_path / folder / "in").mkdir(parents=True)
        (tmp_path / folder / "in" / "a.dcm").write_bytes(data)
        target = tmp_path / folder
        result = run_tool("dcm2niix", "-f", "o", "-z", "n", "-o", target, target / "in")
        found = list(target.glob("*.nii"))
        assert found, result.stdout
        volume = nibabel.load(found[0])
        rows, columns = volume.shape[:2]
        corners = [[x, y, 0] for x in (-0.5, rows - 0.5) for y in (-0.5, columns - 0.5)]
        return nibabel.affines.apply_affine(volume.affine, corners), np.asanyarray(volume.dataobj)

    corners, values = converted(samples()[name].read_bytes(), "source")
    moved, finer = converted(FORMAT.encode(restored(name, factor)), "restored")
    np.testing.assert_allclose(moved, corners, atol=2e-5)
    np.testing.assert_array_equal(finer, np.repeat(np.repeat(values, factor, 0), factor, 1))
