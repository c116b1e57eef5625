"""Kinds of DICOM objects: which can be written as derived images, and which were compressed with loss."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEG2000MC,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from pipeline.formats.dicom.dataset import text
from pipeline.formats.dicom.layout import PixelLayout

CLASSIC = {
    "1.2.840.10008.5.1.4.1.1.1": "Computed Radiography",
    "1.2.840.10008.5.1.4.1.1.1.1": "Digital X-Ray, for presentation",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray, for processing",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.3": "Ultrasound Multi-frame, retired",
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.5": "Nuclear Medicine, retired",
    "1.2.840.10008.5.1.4.1.1.6": "Ultrasound, retired",
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.20": "Nuclear Medicine",
}
"""SOP class UID -> name (PS3.4 table B.5-1): those whose derived form is the classic one."""

NEED_POSITION = frozenset({"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"})
"""SOP classes whose objects must say where in the patient they lie: CT and MR."""

NUCLEAR = frozenset({"1.2.840.10008.5.1.4.1.1.5", "1.2.840.10008.5.1.4.1.1.20"})
"""SOP classes whose second value of ImageType is PRIMARY whatever was done (PS3.3 C.8.4.9.1.1)."""

LOSSY_METHODS = {
    JPEGBaseline8Bit: "ISO_10918_1",
    JPEGExtended12Bit: "ISO_10918_1",
    JPEGLSNearLossless: "ISO_14495_1",
    JPEG2000: "ISO_15444_1",
    JPEG2000MC: "ISO_15444_1",
    HTJ2K: "ISO_15444_15",
}
"""Transfer syntaxes that may lose, and their LossyImageCompressionMethod (PS3.3 C.7.6.1.1.5)."""


def is_lossy(dataset: Dataset) -> bool:
    """Whether the pixels were ever compressed with loss: the header's word, else the encoding's."""
    declared = text(dataset, "LossyImageCompression")
    return declared == "01" or (declared != "00" and dataset.file_meta.TransferSyntaxUID in LOSSY_METHODS)


def why_read_only(dataset: Dataset, layout: PixelLayout) -> tuple[str, str] | None:
    """Reason code and text where no derived image can be written; ``None`` for classic objects."""
    if text(dataset, "SOPClassUID") not in CLASSIC:
        return "UNSUPPORTED_SOP_CLASS", "SOPClassUID is none of the classic images; it can be scored only"
    if layout.photometric == "PALETTE COLOR":
        return "UNSUPPORTED_SOP_CLASS", "PALETTE COLOR cannot be written back; it can be scored only"
    if layout.samples > 1 and layout.frames > 1:
        return "UNSUPPORTED_SOP_CLASS", "several frames in colour cannot be written; they can be scored only"
    if layout.bits_stored > 16:
        return "UNSUPPORTED_DTYPE", "BitsStored over 16 would be rounded by a model; it can be scored only"
    if not text(dataset, "SOPInstanceUID"):
        return "UNSUPPORTED_SOP_CLASS", "SOPInstanceUID is missing, and a derived image must name its source"
    return None
