"""What makes a DICOM object a derived one (PS3.3 C.7.6.1.1.2, C.12.1, C.12.4)."""

from __future__ import annotations

import uuid

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipeline.formats.dicom.classes import NUCLEAR
from pipeline.formats.dicom.dataset import text
from pipeline.formats.dicom.geometry import overlays_of
from pipeline.formats.grid import Grid
from pipeline.imaging.image import Provenance

STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "SmallestImagePixelValueInPlane",
    "LargestImagePixelValueInPlane",
    "HistogramSequence",
    "IconImageSequence",
    "PixelDataProviderURL",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
    "DataSetTrailingPadding",
)
"""Attributes that described the source's pixels or its making, and would be wrong of the derived image.

The time of creation is left out, not set: the same image must give the same bytes.
"""

MARK = "[restored - not for diagnosis]"
COPY_MARK = "[derived - not for diagnosis]"
"""End of the SeriesDescription of what was restored, and of other copies."""

_LONGEST_DESCRIPTION = 64
_LONGEST_TEXT = 1024
_SERIES_NUMBER_STEP = 1000
_LARGEST_SERIES_NUMBER = 2**31 - 1
_SCHEME = "99RESTORA"


def derive(dataset: Dataset, grid: Grid, provenance: Provenance | None, pixels_sha256: str) -> None:
    """Identity, image type, and the record of what was done; patient, study and all else stay.

    UIDs follow from the source's UIDs and the provenance alone, so that a repeated run gives the same
    object; without a provenance, from the pixels.
    """
    source_class, source_instance = text(dataset, "SOPClassUID"), text(dataset, "SOPInstanceUID")
    made, extracted = _fingerprint(provenance, pixels_sha256), _taken_extraction(dataset)
    for keyword in STALE:
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.SOPInstanceUID = derived_uid("instance", source_instance, *made)
    source_series = text(dataset, "SeriesInstanceUID") or source_instance
    dataset.SeriesInstanceUID = derived_uid("series", source_series, *made)
    dataset.SeriesNumber = _series_number(dataset)
    dataset.SeriesDescription = _description(dataset, MARK if _is_restored(provenance) else COPY_MARK)
    second = "PRIMARY" if source_class in NUCLEAR else "SECONDARY"
    dataset.ImageType = ["DERIVED", second, *_image_type(dataset)[2:]]
    dataset.DerivationDescription = _derivation(dataset, grid, provenance)
    dataset.DerivationCodeSequence = Sequence(
        [*_items(dataset, "DerivationCodeSequence"), *_steps(grid, provenance)]
    )
    dataset.SourceImageSequence = Sequence([_source(source_class, source_instance, extracted, grid)])
    dataset.ContributingEquipmentSequence = Sequence(
        [*_items(dataset, "ContributingEquipmentSequence"), _equipment(provenance)]
    )


def derived_uid(*parts: str) -> str:
    """A UID that is the same for the same parts (PS3.5 B.2, a name-based UUID)."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '|'.join(parts)).int}"


def frame_uid(instance: str, number: int) -> str:
    """Of one frame, from 1, that is read as an object of its own."""
    return derived_uid("frame", instance, str(number))


def _taken_extraction(dataset: Dataset) -> tuple[str, int] | None:
    """The object of several frames that this was a frame of, and its number; taken out of the header.

    ``None`` for what is an object in its own right, also where a server made it out of frames.
    """
    items = _items(dataset, "FrameExtractionSequence")
    if not items:
        return None
    whole, number = text(items[-1], "MultiFrameSourceSOPInstanceUID"), items[-1].get("SimpleFrameList")
    if not isinstance(number, int) or text(dataset, "SOPInstanceUID") != frame_uid(whole, number):
        return None
    dataset.FrameExtractionSequence = Sequence(items[:-1])
    if len(items) == 1:
        del dataset.FrameExtractionSequence
    return whole, number


def _is_restored(provenance: Provenance | None) -> bool:
    return provenance is not None and provenance.restorer != ""


def _fingerprint(provenance: Provenance | None, pixels_sha256: str) -> tuple[str, ...]:
    if provenance is None:
        return (pixels_sha256,)
    return provenance.restorer, provenance.restorer_sha256, provenance.recipe_id, provenance.degradation


def _series_number(dataset: Dataset) -> int:
    try:
        number = int(dataset.get("SeriesNumber") or 0) + _SERIES_NUMBER_STEP
    except (TypeError, ValueError):
        return _SERIES_NUMBER_STEP
    return number if 0 <= number <= _LARGEST_SERIES_NUMBER else _SERIES_NUMBER_STEP


def _description(dataset: Dataset, mark: str) -> str:
    """The source's, cut so that the mark is whole; one that is a mark already gets no second."""
    own = text(dataset, "SeriesDescription").removesuffix(MARK).removesuffix(COPY_MARK)
    return f"{own[: _LONGEST_DESCRIPTION - len(mark) - 1].rstrip()} {mark}".lstrip()


def _image_type(dataset: Dataset) -> list[str]:
    value = dataset.get("ImageType") or []
    return [str(each).strip() for each in ([value] if isinstance(value, str) else value)]


def _derivation(dataset: Dataset, grid: Grid, provenance: Provenance | None) -> str:
    """What earlier steps wrote, then ours; ours is never cut."""
    done = "copied"
    if provenance and provenance.degradation:
        done = f"degraded by {_plain(provenance.degradation)}"
    if provenance and provenance.restorer:
        done = "" if done == "copied" else f"{done}, then "
        done += f"restored by {_plain(provenance.restorer)} (sha256 {provenance.restorer_sha256[:16]})"
    if not grid.is_same:
        done += f", {grid.factor} pixels per source pixel"
    if grid.size != (dataset.Rows, dataset.Columns) and overlays_of(dataset):
        done += ", overlays dropped"
    ours = f"Restora: {done}; not for diagnosis"
    before = text(dataset, "DerivationDescription")[: _LONGEST_TEXT - len(ours) - 2]
    return f"{before}; {ours}" if before else ours


def _steps(grid: Grid, provenance: Provenance | None) -> list[Dataset]:
    """CID 7203 knows resampling, but neither restoration nor degradation: private codes say that."""
    steps = []
    if provenance and provenance.degradation:
        steps.append(_code("DEGRADED", _SCHEME, "Simulated degradation"))
    if _is_restored(provenance) or not steps:
        steps.append(_code("RESTORED", _SCHEME, "Restoration by a network or solver"))
    return steps if grid.is_same else [*steps, _code("113085", "DCM", "Spatial resampling")]


def _source(
    source_class: str, source_instance: str, extracted: tuple[str, int] | None, grid: Grid
) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = source_class
    item.ReferencedSOPInstanceUID = source_instance
    if extracted is not None:
        item.ReferencedSOPInstanceUID, item.ReferencedFrameNumber = extracted
    item.SpatialLocationsPreserved = "YES" if grid.is_same else "NO"
    item.PurposeOfReferenceCodeSequence = Sequence(
        [_code("121322", "DCM", "Source image for image processing operation")]
    )
    return item


def _equipment(provenance: Provenance | None) -> Dataset:
    item = Dataset()
    item.Manufacturer = "Restora"
    item.PurposeOfReferenceCodeSequence = Sequence([_code("109103", "DCM", "Modifying Equipment")])
    if provenance:
        item.ManufacturerModelName = _plain(provenance.restorer or provenance.degradation)[:64]
        item.SoftwareVersions = _plain(provenance.code_version)[:64]
        weights = f"weights or code sha256 {provenance.restorer_sha256}; " if provenance.restorer else ""
        item.ContributionDescription = f"{weights}recipe {provenance.recipe_id}"
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset.get(keyword) or ())


def _plain(words: str) -> str:
    """ASCII without the backslash, which separates values: right in every character set."""
    return "".join(each if " " <= each <= "~" and each != "\\" else "_" for each in words)
