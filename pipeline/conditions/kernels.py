"""From a kernel as it is stored to the operator that blurred an image.

Shapes: K side of a kernel, always odd.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.operators.base import LinearOperator
from models.operators.blur import KernelBlur
from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.imaging.image import Image

SUM_TOLERANCE = 0.01
"""A kernel of real numbers keeps the brightness to one percent; what is left of that is divided out."""
_MOST_SIDE = 1025


def read_kernel(data: bytes, key: str) -> NDArray[np.float64]:
    """KK: a NumPy array, rows of numbers as text, or an image, by the ending of its name.

    Raises ``ImageError`` (``KERNEL_UNFIT``) for what is none, and as ``checked_kernel``.
    """
    ending = key.lower().rpartition(".")[2]
    return checked_kernel(_READERS.get(ending, _from_image)(data))


def checked_kernel(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """KK, square: zeros are put around the shorter side, whole numbers are divided by their sum.

    Raises ``ImageError`` (``KERNEL_UNFIT``) for sides that are not odd, channels that differ, values that
    are not finite, and real numbers that do not sum to one.
    """
    if values.ndim == 3 and values.size:
        values = _one_channel(values)
    if values.size == 0:
        raise _unfit("it has no values")
    if values.ndim != 2:
        raise _unfit(f"it has {values.ndim} axes; a kernel has rows and columns")
    if not np.isfinite(values).all():
        raise _unfit("it holds NaN or infinite values")
    height, width = values.shape
    if height % 2 == 0 or width % 2 == 0:
        raise _unfit(f"it has {height} x {width} values; both sides must be odd, or there is no centre")
    if max(height, width) > _MOST_SIDE:
        raise _unfit(f"it has {height} x {width} values; at most {_MOST_SIDE} x {_MOST_SIDE} can be used")
    return _squared(_with_unit_sum(values))


def blur_of(kernel_KK: NDArray[np.float64], border: str) -> KernelBlur:
    """The operator."""
    return KernelBlur(values=tuple(map(tuple, kernel_KK.tolist())), border=border)


def refuse_larger(operators: tuple[LinearOperator, ...], image: Image) -> None:
    """``KERNEL_UNFIT`` where a kernel, given or of an operator, has more pixels than the image."""
    least = min(image.size[:2])
    for operator in operators:
        side = getattr(operator, "kernel_side", 1)
        if side > least:
            raise _unfit(f"it has {side} x {side} values, the image only {image.size[0]} x {image.size[1]}")


def _with_unit_sum(values: NDArray[np.generic]) -> NDArray[np.float64]:
    total = float(values.sum(dtype=np.float64))
    is_counted = values.dtype.kind in "iub"
    if total <= 0 or not (is_counted or abs(total - 1) <= SUM_TOLERANCE):
        raise _unfit(f"its values sum to {total:g}; divide them by their sum, so that it is 1")
    return values.astype(np.float64) / total


def _squared(values: NDArray[np.float64]) -> NDArray[np.float64]:
    side = max(values.shape)
    (top, left) = ((side - each) // 2 for each in values.shape)
    return np.pad(values, ((top, top), (left, left)))


def _one_channel(values: NDArray[np.generic]) -> NDArray[np.generic]:
    if not (values == values[..., :1]).all():
        raise _unfit(f"it has {values.shape[2]} channels that differ; one kernel is for all bands")
    return values[..., 0]


def _from_numpy(data: bytes) -> NDArray[np.generic]:
    try:
        loaded: NDArray[np.generic] = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        raise _unfit(f"no NumPy array of numbers ({type(error).__name__})") from None
    if not isinstance(loaded, np.ndarray) or loaded.dtype.kind not in "iufb":
        raise _unfit("no NumPy array of numbers")
    return loaded


def _from_text(data: bytes) -> NDArray[np.generic]:
    try:
        text = data.decode("utf-8-sig").replace(",", " ").replace(";", " ")
        return np.loadtxt(io.StringIO(text), ndmin=2)
    except Exception:
        raise _unfit("no rows of as many numbers each") from None


def _from_image(data: bytes) -> NDArray[np.generic]:
    try:
        return decode(data, Limits(_MOST_SIDE**2)).pixels_HWC
    except ImageError as error:
        raise _unfit(f"{error.reason}: {error}") from None


_READERS: dict[str, Callable[[bytes], NDArray[np.generic]]] = {
    "npy": _from_numpy,
    "txt": _from_text,
    "csv": _from_text,
}


def _unfit(why: str) -> ImageError:
    return ImageError("KERNEL_UNFIT", f"the kernel: {why}")
