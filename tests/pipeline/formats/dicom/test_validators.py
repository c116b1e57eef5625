"""What dicom3tools and dcmtk say of restored DICOM objects."""

import io

import pytest

from pipeline.formats.base import Limits
from pipeline.formats.dicom.format import Dicom
from tests.dicom_samples import (
    pydicom,
    restored,
    run_tool,
    samples,
    with_provenance,
)

FORMAT = Dicom()


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
