"""Nothing that identifies a patient leaves a DICOM object, except into the object derived from it."""

import io
import logging
import pickle
import traceback

import pytest

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom.format import Dicom
from pipeline.quarantine import reason_and_message
from tests.dicom_samples import pydicom, samples, with_provenance

FORMAT = Dicom()
CANARY = "CANARYBIRD"


def planted(**raw: bytes) -> bytes:
    """CT_small with canaries in every place for names, and elements of ``raw`` bytes, broken or not."""
    dataset = pydicom.dcmread(samples()["CT_small.dcm"])
    for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "SeriesDescription"):
        setattr(dataset, keyword, CANARY)
    dataset.private_block(0x0011, CANARY, create=True).add_new(0x10, "LO", CANARY)
    dataset.OtherPatientIDsSequence = [pydicom.Dataset()]
    dataset.OtherPatientIDsSequence[0].PatientID = CANARY
    for keyword, value in raw.items():
        tag = pydicom.tag.Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        dataset[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    assert file.getvalue().count(CANARY.encode()) >= 8
    return file.getvalue()


def said_of(data: bytes) -> tuple[str, list[str]]:
    """The reason code or "", and everything that a log, a table or an operator might be shown."""
    try:
        image = FORMAT.decode(data, Limits())
        shown = [repr(image), repr(image.metadata), str(image.domain)]
        FORMAT.encode(with_provenance(image))
        FORMAT.encode(with_provenance(image.with_pixels(image.pixels_HWC.repeat(2, 0).repeat(2, 1))))
    except ImageError as error:
        again = pickle.loads(pickle.dumps(error))
        shown = [str(error), repr(error), repr(again), *reason_and_message(error)]
        return error.reason, [*shown, *traceback.format_exception(error)]
    return "", shown


BROKEN = {
    "whole": (b"", ""),
    "NumberOfFrames": (b"CANARYBIRD", "UNREADABLE"),
    "RescaleSlope": (b"CANARYBIRD", "BAD_GEOMETRY"),
    "PixelSpacing": (b"CANARYBIRD", "BAD_GEOMETRY"),
    "ImagePositionPatient": (b"CANARYBIRD\\1\\2 ", "BAD_GEOMETRY"),
    "PhotometricInterpretation": (b"CANARYBIRD", "UNREADABLE"),
    "SOPClassUID": (b"1.CANARYBIRD", "UNSUPPORTED_SOP_CLASS"),
    "SeriesNumber": (b"CANARYBIRD", ""),
    "ImageType": (b"CANARYBIRD", ""),
    "SpecificCharacterSet": (b"CANARYBIRD", ""),
    "StudyDate": (b"CANARYBIRD", ""),
    "SourceImageSequence": (b"CANARYBIRD", ""),
    "DerivationCodeSequence": (b"CANARYBIRD", ""),
}


@pytest.mark.parametrize("keyword", BROKEN)
def test_no_value_is_ever_told(keyword, caplog, capfd, recwarn):
    value, reason = BROKEN[keyword]
    data = planted(**({} if keyword == "whole" else {keyword: value}))
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="restora")
    actual, shown = said_of(data)
    assert actual == reason
    shown += [record.getMessage() for record in caplog.records]
    shown += [str(warning.message) for warning in recwarn.list]
    shown += list(capfd.readouterr())
    for each in shown:
        assert CANARY not in each
        assert "CompressedSamples" not in each, "the sample's own patient name"


@pytest.mark.parametrize("percent", range(0, 100, 7))
def test_no_value_is_told_of_cut_objects(percent, caplog, recwarn):
    data = planted()
    recwarn.clear()
    caplog.set_level(logging.DEBUG)
    _, shown = said_of(data[: len(data) * percent // 100])
    shown += [record.getMessage() for record in caplog.records]
    shown += [str(warning.message) for warning in recwarn.list]
    assert not [each for each in shown if CANARY in each]


def test_no_value_is_told_where_a_header_cannot_be_written_again():
    dataset = pydicom.dcmread(samples()["MR_small_bigendian.dcm"])
    tag = pydicom.tag.Tag("RepresentativeFrameNumber")
    value = CANARY.encode() + b"S"
    dataset[tag] = pydicom.dataelem.RawDataElement(tag, "US", len(value), value, 0, False, False)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=False)
    reason, shown = said_of(file.getvalue())
    assert reason == "UNENCODABLE"
    assert not [each for each in shown if CANARY in each]


def test_the_derived_object_is_still_the_patients():
    image = FORMAT.decode(planted(), Limits())
    out = pydicom.dcmread(io.BytesIO(FORMAT.encode(with_provenance(image))))
    assert out.PatientName == out.PatientID == CANARY
    assert out.get_private_item(0x0011, 0x10, CANARY).value == CANARY
