"""A restored DICOM object: what changed, and what stayed as read."""

import io

import numpy as np
import pytest

from pipeline.formats.base import Limits
from pipeline.formats.dicom.format import Dicom
from tests.dicom_samples import (
    RESTORABLE,
    decoded,
    derived,
    made,
    parsed,
    pydicom,
    restored,
    samples,
    with_provenance,
)

FORMAT = Dicom()
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
    dataset.HistogramSequence = [pydicom.Dataset()]
    dataset.add_new(0xFFFAFFFA, "SQ", [pydicom.Dataset()])
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    out = parsed(io.BytesIO(FORMAT.encode(FORMAT.decode(file.getvalue(), Limits()))))
    assert out.get_private_item(0x7FE1, 0x10, "SOMEBODY").value == b"kept"
    assert out.get_private_item(0x0011, 0x10, "SOMEBODY").value == "kept too"
    stale = ("SmallestImagePixelValue", "PixelDataProviderURL", "HistogramSequence")
    for keyword in (*stale, "DigitalSignaturesSequence"):
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
