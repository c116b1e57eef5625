"""Small series of CT slices, each its own UIDs."""

import functools
import io

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")

STUDY = "1.2.826.0.1.3680043.8.498.1"
SIDE = 24


@functools.cache
def _template() -> bytes:
    return open(pydicom.data.get_testdata_file("CT_small.dcm"), "rb").read()


def slice_of(
    series: int | str, number: int, *, seed: int = 0, instance: str = "", study: int = 1, **attributes
) -> bytes:
    """A slice of a series, as a file. ``series``: a number, or the UID itself."""
    dataset = pydicom.dcmread(io.BytesIO(_template()))
    dataset.StudyInstanceUID = f"{STUDY}.{study}"
    dataset.SeriesInstanceUID = series if isinstance(series, str) else f"{STUDY}.{study}.{series}"
    dataset.SOPInstanceUID = instance or f"{dataset.SeriesInstanceUID}.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber, dataset.Rows, dataset.Columns = number, SIDE, SIDE
    dataset.ImagePositionPatient = [0, 0, 2.5 * number]
    values = np.random.default_rng([seed, number]).integers(0, 2000, (SIDE, SIDE), np.int16)
    dataset.PixelData = values.tobytes()
    if "DataSetTrailingPadding" in dataset:
        del dataset.DataSetTrailingPadding
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.preamble = bytes(128)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


def uids_of(data: bytes) -> tuple[str, str, str]:
    """Study, series and instance."""
    found = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID
