"""A restored DICOM object: what changed, what stayed, and what dicom3tools, dcmtk and dcm2niix say of it."""

import io
import warnings

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom import Dicom
from tests.dicom_samples import (
    NOT_READ,
    decoded,
    pydicom,
    restored,
    run_tool,
    samples,
    why_not_written,
    with_provenance,
)

FORMAT = Dicom()
RESTORABLE = [name for name in samples() if name not in NOT_READ and why_not_written(name) is None]
CHANGED = {
    *("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImageType", "PixelData"),
    *("DerivationDescription", "DerivationCodeSequence"),
    *("SourceImageSequence", "ContributingEquipmentSequence"),
}
REMOVED = {
    *("SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence", "DataSetTrailingPadding"),
    *("SmallestPixelValueInSeries", "LargestPixelValueInSeries"),
    *("InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID"),
}
OF_LOSSY = {"LossyImageCompression", "LossyImageCompressionMethod"}
OF_COLOUR = {"PhotometricInterpretation", "PlanarConfiguration"}


def parsed(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(source, force=True)
        dataset.walk(lambda *_: None)
    return dataset


def derived(name, factor=1):
    return parsed(io.BytesIO(FORMAT.encode(restored(name, factor))))


def made(**attributes):
    """CT_small with other attributes, as an image."""
    dataset = pydicom.dcmread(samples()["CT_small.dcm"])
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return FORMAT.decode(file.getvalue(), Limits())


def enlarged(image, factor):
    return with_provenance(image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, factor, 0), factor, 1)))


def value_of(element):
    """Comparable across encodings: binary values of big endian words are compared elsewhere."""
    if element.VR in ("UN", "OB", "OW", "OB or OW") or element.tag.is_private:
        return None
    return str(element.value)


@pytest.mark.parametrize("name", RESTORABLE)
def test_everything_but_the_derivation_stays_as_read(name):
    source, out = parsed(samples()[name]), derived(name)
    allowed = CHANGED | REMOVED | OF_LOSSY | (OF_COLOUR if source.get("SamplesPerPixel") == 3 else set())
    for element in source:
        if element.keyword in allowed or element.tag.element == 0:
            continue
        assert element.tag in out, element.tag
        assert value_of(out[element.tag]) == value_of(element), element.tag
    new = {element.keyword for element in out if element.tag not in source}
    assert new <= CHANGED | OF_LOSSY


@pytest.mark.parametrize("name", RESTORABLE)
def test_the_faults_that_validators_do_not_see(name):
    source, out = parsed(samples()[name]), derived(name)
    assert list(out.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns"):
        assert out[keyword].value == source[keyword].value
    for keyword in (
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "Modality",
        "PatientID",
        "SpecificCharacterSet",
    ):
        assert out.get(keyword) == source.get(keyword)
    was_lossy = source.get("LossyImageCompression") == "01" or (
        source.get("LossyImageCompression") != "00"
        and str(getattr(source.file_meta, "TransferSyntaxUID", ""))[-3:] in (".50", ".51", ".81", ".91")
    )
    assert (out.get("LossyImageCompression") == "01") == was_lossy
    assert out.SOPInstanceUID != source.SOPInstanceUID
    assert out.SeriesInstanceUID not in (source.get("SeriesInstanceUID"), out.SOPInstanceUID)
    assert out.file_meta.MediaStorageSOPInstanceUID == out.SOPInstanceUID
    assert not out.file_meta.TransferSyntaxUID.is_encapsulated or (
        out.file_meta.TransferSyntaxUID == pydicom.uid.JPEGLSLossless
    )
    assert out.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert out.SourceImageSequence[0].SpatialLocationsPreserved == "YES"
    assert "not for diagnosis" in out.SeriesDescription
    assert len(out.SeriesDescription) <= 64


def test_the_record_names_restorer_weights_and_recipe():
    codes = pytest.importorskip("pydicom.sr.codedict").codes
    out = derived("CT_small.dcm")
    assert "ffdnet-colour" in out.DerivationDescription
    equipment = out.ContributingEquipmentSequence[-1]
    assert equipment.ManufacturerModelName == "ffdnet-colour"
    assert "ab" * 32 in equipment.ContributionDescription
    assert "1f" * 32 in equipment.ContributionDescription
    for item, code in (
        (equipment.PurposeOfReferenceCodeSequence[0], codes.DCM.ModifyingEquipment),
        (
            out.SourceImageSequence[0].PurposeOfReferenceCodeSequence[0],
            codes.DCM.SourceImageForImageProcessingOperation,
        ),
        (
            derived("CT_small.dcm", 2).DerivationCodeSequence[-1],
            codes.DCM.SpatialResampling,
        ),
    ):
        assert (item.CodeValue, item.CodeMeaning) == (code.value, code.meaning)


def test_identity_follows_from_source_restorer_and_recipe_alone():
    def identity(image):
        out = parsed(io.BytesIO(FORMAT.encode(image)))
        return out.SOPInstanceUID, out.SeriesInstanceUID

    image = decoded("CT_small.dcm")
    same = identity(with_provenance(image))
    assert identity(with_provenance(image, code_version="0.2.0")) == same
    assert identity(with_provenance(image.with_pixels(image.pixels_HWC + np.int16(1)))) == same
    others = [
        identity(with_provenance(image, **change))
        for change in (
            {"restorer_sha256": "0" * 64},
            {"recipe_id": "2" * 64},
            {"degradation": "noise"},
            {"restorer": "median"},
        )
    ]
    others += [identity(image), identity(image.with_pixels(image.pixels_HWC + np.int16(1)))]
    instances, series = zip(same, *others, strict=True)
    assert len(set(instances)) == len(set(series)) == 7
    # One series of the source is one series of the output, and another instance another one.
    other_slice = with_provenance(made(SOPInstanceUID="1.2.3.4"))
    assert identity(other_slice)[1] == same[1]
    assert identity(other_slice)[0] != same[0]


def test_a_second_restoration_keeps_the_record_of_the_first():
    once = FORMAT.encode(restored("CT_small.dcm"))
    again = with_provenance(FORMAT.decode(once, Limits()), restorer="median")
    out = parsed(io.BytesIO(FORMAT.encode(again)))
    assert [item.ManufacturerModelName for item in out.ContributingEquipmentSequence] == [
        "ffdnet-colour",
        "median",
    ]
    assert out.DerivationDescription.count("restored by") == 2
    assert out.SeriesDescription.count("not for diagnosis") == 1
    assert len(out.SourceImageSequence) == 1
    assert out.SeriesNumber == parsed(samples()["CT_small.dcm"]).SeriesNumber + 2000


def test_long_descriptions_in_any_script_keep_the_mark_whole():
    dataset = pydicom.dcmread(samples()["CT_small.dcm"])
    dataset.SpecificCharacterSet = "ISO_IR 144"
    dataset.SeriesDescription = "Грудная клетка " * 4
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    out = parsed(io.BytesIO(FORMAT.encode(with_provenance(FORMAT.decode(file.getvalue(), Limits())))))
    assert out.SpecificCharacterSet == "ISO_IR 144"
    assert out.SeriesDescription.startswith("Грудная клетка Грудная")
    assert out.SeriesDescription.endswith("[restored - not for diagnosis]")
    assert len(out.SeriesDescription) <= 64


def test_private_elements_stay_also_behind_the_pixels_and_stale_ones_go():
    dataset = pydicom.dcmread(samples()["CT_small.dcm"])
    dataset.private_block(0x7FE1, "SOMEBODY", create=True).add_new(0x10, "OB", b"kept")
    dataset.private_block(0x0011, "SOMEBODY", create=True).add_new(0x10, "LO", "kept too")
    dataset.add_new("SmallestImagePixelValue", "SS", 1)
    dataset.PixelDataProviderURL = "https://archive.example/1"
    dataset.add_new(0xFFFAFFFA, "SQ", [pydicom.Dataset()])
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    out = parsed(io.BytesIO(FORMAT.encode(FORMAT.decode(file.getvalue(), Limits()))))
    assert out.get_private_item(0x7FE1, 0x10, "SOMEBODY").value == b"kept"
    assert out.get_private_item(0x0011, 0x10, "SOMEBODY").value == "kept too"
    for keyword in ("SmallestImagePixelValue", "PixelDataProviderURL", "DigitalSignaturesSequence"):
        assert keyword not in out


def test_binary_words_of_a_big_endian_object_are_turned():
    dataset = pydicom.dcmread(samples()["MR_small_bigendian.dcm"])
    words = np.arange(64, dtype=np.uint16)
    dataset.add_new(0x60000010, "US", 32)
    dataset.add_new(0x60000011, "US", 32)
    dataset.add_new(0x60003000, "OW", words.astype(">u2").tobytes())
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=False)
    out = parsed(io.BytesIO(FORMAT.encode(FORMAT.decode(file.getvalue(), Limits()))))
    assert out.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert out[0x60003000].value == words.astype("<u2").tobytes()


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


def test_shutters_regions_and_detectors_move_with_the_grid():
    region, detector = pydicom.Dataset(), pydicom.Dataset()
    region.RegionLocationMinX0, region.RegionLocationMaxX1 = 10, 19
    region.RegionLocationMinY0, region.RegionLocationMaxY1 = 0, 127
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.5, -0.25
    region.ReferencePixelX0, region.ReferencePixelPhysicalValueX = 3, 7.0
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
    # The same physical value at the same place: source pixel 3's centre is 7.0, a quarter pixel on 7.125.
    at_source_centre = (3 + 0.5) * 2 - 0.5
    value = moved.ReferencePixelPhysicalValueX + (at_source_centre - moved.ReferencePixelX0) * 0.25
    assert value == pytest.approx(7.0)
    position = np.array(out.DetectorInformationSequence[0].ImagePositionPatient, float)
    np.testing.assert_allclose(position, [-0.5, -1.0, 5.0])


JUDGED = [
    "CT_small.dcm",
    "693_J2KI.dcm",
    "693_UNCR.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR-SIEMENS-DICOM-WithOverlays.dcm",
    "RG3_UNCR.dcm",
    "US1_J2KR.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "charset_files/chrH32.dcm",
]


def errors_in(path):
    said = run_tool("dciodvfy", "-new", path).stderr.splitlines()
    return {line for line in said if line.startswith("Error")}


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("name", JUDGED)
def test_dicom3tools_and_dcmtk_find_nothing_new(name, factor, tmp_path):
    path = tmp_path / "restored.dcm"
    path.write_bytes(FORMAT.encode(restored(name, factor)))
    assert errors_in(path) <= errors_in(samples()[name])
    entities = run_tool("dcentvfy", samples()[name], path)
    assert entities.returncode == 0, entities.stderr
    assert run_tool("dcmftest", path).stdout.startswith("yes")


def test_the_validator_would_find_a_copy_under_the_old_identity(tmp_path):
    path = tmp_path / "copy.dcm"
    path.write_bytes(samples()["CT_small.dcm"].read_bytes())
    assert run_tool("dcentvfy", samples()["CT_small.dcm"], path).returncode != 0


def synthetic(sop_class, modality, image_type, **attributes):
    """CT_small as another kind of object, for kinds of which there is no sample."""
    keep = (
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "StudyDate",
    )
    keep += ("Rows", "Columns", "BitsAllocated", "PixelData", "SamplesPerPixel", "PhotometricInterpretation")
    source, dataset = pydicom.dcmread(samples()["CT_small.dcm"]), pydicom.Dataset()
    for keyword in keep:
        setattr(dataset, keyword, getattr(source, keyword))
    dataset.file_meta = source.file_meta
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 0
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.Modality, dataset.ImageType = modality, image_type
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "modality", "image_type"),
    [
        ("DigitalXRayImageStorageForPresentation", "DX", ["ORIGINAL", "PRIMARY", ""]),
        ("DigitalXRayImageStorageForProcessing", "DX", ["ORIGINAL", "PRIMARY", ""]),
        ("NuclearMedicineImageStorage", "NM", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]),
    ],
)
def test_kinds_without_a_sample_get_no_new_errors_either(kind, modality, image_type, tmp_path):
    data = synthetic(getattr(pydicom.uid, kind), modality, image_type, NumberOfFrames=1)
    source, out = tmp_path / "source.dcm", tmp_path / "out.dcm"
    source.write_bytes(data)
    out.write_bytes(FORMAT.encode(with_provenance(FORMAT.decode(data, Limits()))))
    assert errors_in(out) <= errors_in(source)


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
