"""The DICOM files of pydicom and pydicom-data, what is expected of each, and tools that judge our output."""

import functools
import io
import shutil
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom.format import Dicom
from pipeline.imaging.image import Image, Provenance

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
data_store = pytest.importorskip("data_store", reason="needs pydicom-data")

MADE = Provenance("ffdnet-colour", "ab" * 32, "1f" * 32, "cd" * 32, "0.1.0")
FOLDERS = [Path(module.__file__).parent / "data" for module in (data_store, pydicom)]


@functools.cache
def samples() -> dict[str, Path]:
    """Name -> path of every object with an element PixelData, or with half a one."""
    found = {}
    for folder in FOLDERS:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            if path.suffix not in (".py", ".pyc", ".json", ".md", ".xml", ".txt") and _has_pixels(path):
                found[path.relative_to(folder).as_posix().removeprefix("test_files/")] = path
    return found


def _has_pixels(path: Path) -> bool:
    if path.name in ("emri_small_jpeg_2k_lossless_too_short.dcm", "image_dfl.dcm"):
        return True
    data = path.read_bytes()
    if b"\xe0\x7f\x10\x00" not in data and b"\x7f\xe0\x00\x10" not in data:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return "PixelData" in pydicom.dcmread(path, force=True, specific_tags=["PixelData"])


@functools.cache
def decoded(name: str) -> Image:
    return Dicom().decode(samples()[name].read_bytes(), Limits())


def restored(name: str, factor: int = 1) -> Image:
    """The sample as a restorer would give it back that changes nothing, or repeats every pixel."""
    return enlarged(decoded(name), factor)


def with_provenance(image: Image, **changes: str) -> Image:
    return replace(image, metadata=replace(image.metadata, provenance=replace(MADE, **changes)))


def read(data: bytes) -> Image:
    return Dicom().decode(data, Limits())


def refused(data: bytes, limits: Limits | None = None) -> ImageError:
    with pytest.raises(ImageError) as refusal:
        Dicom().decode(data, limits or Limits())
    return refusal.value


def changed(name: str, **attributes: object) -> bytes:
    """A sample with other attributes; ``None`` removes one."""
    dataset = pydicom.dcmread(samples()[name])
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    pydicom.filewriter.correct_ambiguous_vr(dataset, True)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


def made(**attributes: object) -> Image:
    """CT_small with other attributes, as an image."""
    return read(changed("CT_small.dcm", **attributes))


def enlarged(image: Image, factor: int) -> Image:
    """Every pixel repeated, with the provenance of a restorer."""
    return with_provenance(image.with_pixels(np.repeat(np.repeat(image.pixels_HWC, factor, 0), factor, 1)))


def parsed(source: object) -> "pydicom.Dataset":
    """All of a file, as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(source, force=True)
        dataset.walk(lambda *_: None)
    return dataset


def derived(name: str, factor: int = 1) -> "pydicom.Dataset":
    """What was written of a restored sample."""
    return parsed(io.BytesIO(Dicom().encode(restored(name, factor))))


def run_tool(*command: object) -> subprocess.CompletedProcess[str]:
    """Runs a program of dicom3tools, dcmtk or dcm2niix; the test is skipped where it is not installed."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )


NOT_READ = {
    "JPEG-lossy.dcm": "UNSUPPORTED_TRANSFER_SYNTAX",
    "JPGExtended.dcm": "UNSUPPORTED_TRANSFER_SYNTAX",
    "JPEG2000-embedded-sequence-delimiter.dcm": "UNREADABLE",
    "MR_truncated.dcm": "TRUNCATED",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "TRUNCATED",
    "badVR.dcm": "UNREADABLE",
    "meta_missing_tsyntax.dcm": "UNREADABLE",
    "nested_priv_SQ.dcm": "UNREADABLE",
}
"""Name -> reason code."""

ENHANCED = ("eCT_Supplemental.dcm", "emri_small", "liver", "rtdose")
PALETTES = ("OBXXXX1A", "OT-PAL-8-face.dcm", "gdcm-US-ALOKA", "examples_palette.dcm")
FILMS = ("color3d_jpeg_baseline.dcm", "examples_ybr_color.dcm")


def why_not_written(name: str) -> str | None:
    """The reason code where the object can be read but not restored."""
    if name.startswith((*ENHANCED, *PALETTES, *FILMS)) or "2frame" in name:
        return "UNSUPPORTED_SOP_CLASS"
    return "UNSUPPORTED_DTYPE" if "32bit" in name else None


RESTORABLE = [name for name in samples() if name not in NOT_READ and why_not_written(name) is None]
