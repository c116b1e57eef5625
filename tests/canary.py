"""Medical images whose every name is a canary, and a search for it through all that a run leaves."""

import io
from pathlib import Path

import nibabel
import numpy as np
import pyarrow.parquet as pq

from tests.dicom_samples import pydicom, samples

CANARY = "CANARYBIRD"


def planted(sample: str = "CT_small.dcm", **attributes: object) -> bytes:
    """A DICOM sample with canaries in patient, institution, descriptions and a private element."""
    dataset = pydicom.dcmread(samples()[sample])
    for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "SeriesDescription"):
        setattr(dataset, keyword, CANARY)
    dataset.private_block(0x0011, CANARY, create=True).add_new(0x10, "LO", CANARY)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    assert file.getvalue().count(CANARY.encode()) >= 6
    return file.getvalue()


def volume() -> bytes:
    """A NIfTI volume with canaries where programs write names."""
    samples_HWD = np.arange(16 * 12 * 3, dtype=np.int16).reshape(16, 12, 3)
    image = nibabel.Nifti1Image(samples_HWD, np.eye(4))
    image.header["descrip"] = image.header["intent_name"] = CANARY.encode()
    return image.to_bytes()


def archive(root: Path) -> dict[str, bytes]:
    """Files of a hospital: good ones, broken ones, ones without an extension, in telling folders."""
    whole = planted(SeriesInstanceUID="1.2.3.2")
    files = {
        f"{CANARY}^JOHN/ct/{CANARY}-1.dcm": planted(),
        f"{CANARY}^JOHN/ct-{CANARY}/IM0001": planted("MR_small.dcm"),
        f"{CANARY}^JOHN/{CANARY}.nii": volume(),
        f"{CANARY}/cut-{CANARY}.dcm": whole[: len(whole) * 3 // 4],
        f"{CANARY}/empty-{CANARY}.dcm": b"",
        f"{CANARY}/report-{CANARY}.dcm": samples_without_pixels(),
    }
    for key, data in files.items():
        path = root / CANARY / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return files


def samples_without_pixels() -> bytes:
    """A planted object that holds no image."""
    dataset = pydicom.dcmread(io.BytesIO(planted(SeriesInstanceUID="1.2.3.3")))
    del dataset.PixelData
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


def hits(folder: Path) -> list[str]:
    """Where the canary is found: paths, bytes of files, values and metadata of Parquet files.

    Restored images are searched by their path alone: what they hold is still the patient's.
    """
    found = []
    for path in sorted(each for each in folder.rglob("*")):
        if CANARY in str(path.relative_to(folder)):
            found.append(f"path {path}")
        if path.is_dir() or path.suffix in (".dcm", ".nii", ".tif"):
            continue
        data = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(io.BytesIO(data))
            data += repr(table.to_pylist()).encode() + repr(table.schema.metadata).encode()
        name = CANARY.encode()
        if any(each in data for each in (name, CANARY.encode("utf-16-le"), name.hex().encode())):
            found.append(f"bytes of {path}")
    return found
