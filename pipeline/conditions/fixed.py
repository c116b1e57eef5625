"""What a dataset tells of all its images alike: one file for every image, or operators, read before a run.

``JobError`` names the field, what is wrong and the cure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from models.operators.base import LinearOperator
from pipeline.conditions.guides import guide_image
from pipeline.conditions.kernels import blur_of, read_kernel
from pipeline.conditions.masks import fixed_mask_image
from pipeline.degradation.degradation import fixed_operator
from pipeline.errors import ImageError, JobError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.jobs.conditions import BlurSpec, Place
from pipeline.jobs.datasets import Dataset
from pipeline.jobs.operators import OperatorSpec
from pipeline.privacy.key import unseal
from pipeline.storage.folder import Folder

T = TypeVar("T")


def fixed_mask(dataset: Dataset, where: str, limits: Limits) -> tuple[Image, str] | None:
    """The one mask of all images, and its digest."""
    if dataset.mask is None or dataset.mask.file is None:
        return None
    data, _ = _fixed_file(dataset.mask, dataset, where)
    mask = dataset.mask
    read = _checked(
        lambda: fixed_mask_image(data, lambda one: decode(one, limits), mask.holes), mask, dataset, where
    )
    return read, sha256_hex(data)


def fixed_guide(dataset: Dataset, where: str, limits: Limits) -> tuple[Image, str] | None:
    """The one guide of all images, and its digest."""
    if dataset.guide is None or dataset.guide.file is None:
        return None
    data, _ = _fixed_file(dataset.guide, dataset, where)
    read = _checked(lambda: guide_image(data, lambda one: decode(one, limits)), dataset.guide, dataset, where)
    return read, sha256_hex(data)


def fixed_blur(blur: BlurSpec, dataset: Dataset, where: str) -> tuple[tuple[LinearOperator, ...], Any]:
    """What blurred all images, nothing where each has its own; and what rows say of it."""
    if blur.file is not None:
        data, key = _fixed_file(blur, dataset, where)
        kernel_KK = _checked(lambda: read_kernel(data, key), blur, dataset, where)
        return (blur_of(kernel_KK, blur.border),), {"from": "file", "sha256": sha256_hex(data)}
    operators = tuple(_operator(each, f"{where}[{index}]") for index, each in enumerate(blur.chain))
    return operators, [{"op": each.op} | each.parameters for each in blur.chain] or None


def _operator(spec: OperatorSpec, where: str) -> LinearOperator:
    operator = fixed_operator(spec, where)
    if not isinstance(operator, LinearOperator) or hasattr(operator, "mask"):
        raise JobError(
            f"{where}: {spec.op} is no blur of fixed parameters; choose one, or give a kernel file"
        )
    if getattr(operator, "scale", 1) != 1:
        raise JobError(f"{where}.scale: must be 1; the size of an image as it was found does not change")
    return operator


def _fixed_file(place: Place, dataset: Dataset, where: str) -> tuple[bytes, str]:
    """The bytes of a dataset's one file, and its key."""
    assert place.file is not None
    (address,) = unseal([place.file])
    above, _, key = address.rpartition("/")
    shown = _shown(place, dataset)
    try:
        return Folder(above or ("/" if address.startswith("/") else "."), _profile_of(place, dataset)).read(
            key
        ), key
    except FileNotFoundError:
        raise JobError(f"{where}: {shown} is not there; check the address") from None
    except Exception as error:
        raise JobError(f"{where}: {shown} cannot be read ({type(error).__name__})") from error


def _profile_of(place: Place, dataset: Dataset) -> str | None:
    """The credentials for its files."""
    return place.profile or dataset.profile


def _shown(place: Place, dataset: Dataset) -> str:
    return "its file" if dataset.private else str(place.file)


def _checked(read: Callable[[], T], place: Place, dataset: Dataset, where: str) -> T:
    try:
        return read()
    except ImageError as error:
        raise JobError(f"{where}: {_shown(place, dataset)}: {error}") from None
