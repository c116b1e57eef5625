"""An image: pixels with their domain and their metadata. Formats make it, formats store it.

Shapes: H height, W width, C channels (any number, colour or bands; alpha is kept apart).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PART = 1 << 20
"""Values that are held in float64 at a time."""


@dataclass(frozen=True)
class Domain:
    """What the stored numbers mean. From the file's header, never from the pixels unless ``rule`` says so."""

    dtype: str
    """NumPy name of the stored type: ``uint8``, ``uint16``, ``float32`` ..."""
    low: float
    """The stored value that the model sees as 0."""
    high: float
    """The stored value that the model sees as 1."""
    unit: str = ""
    """Physical unit of ``stored * scale + offset``, where the file names one."""
    scales: tuple[float, ...] = ()
    """Physical value of one stored step, per channel or one for all; empty where the file does not say."""
    offsets: tuple[float, ...] = ()
    """Physical value of a stored 0, as many as ``scales``."""
    limits: tuple[float, float] | None = None
    """Least and greatest stored value that may be written; ``None``: all that the dtype holds."""
    rule: str = "dtype"
    """Where ``low`` and ``high`` come from, for the tables: ``dtype``, ``header``, ``job`` or ``volume``.

    ``volume``: zero and the greatest value of the whole volume, as fastMRI does (arXiv:1811.08839, sec.
    5.2), for volumes whose header names no range; metrics then use the volume's range.
    """

    @classmethod
    def of_integers(cls, dtype: str) -> Domain:
        """The full range of an integer type: 0..255 for ``uint8``."""
        limits = np.iinfo(dtype)
        return cls(dtype=dtype, low=float(limits.min), high=float(limits.max))

    @property
    def is_integer(self) -> bool:
        """Whether stored values are whole numbers, so that restored ones must be rounded."""
        return np.dtype(self.dtype).kind in "iu"

    @property
    def storable(self) -> tuple[float, float]:
        """Least and greatest stored value that may be written."""
        if self.limits is not None:
            return self.limits
        limits = np.iinfo(self.dtype) if self.is_integer else np.finfo(self.dtype)
        return float(limits.min), float(limits.max)

    @property
    def gains(self) -> tuple[float, ...]:
        """Physical value of one stored step over the largest of any channel; one for all or per channel."""
        largest = max((abs(scale) for scale in self.scales), default=0.0)
        return tuple(scale / largest for scale in self.scales) if largest else (1.0,)

    @property
    def zeros(self) -> tuple[float, ...]:
        """Where physical zero lies between ``low`` (0) and ``high`` (1), as many as ``gains``.

        A stored 0 where the file names no scale, or one of 0.
        """
        steps = zip(self.scales, self.offsets, strict=True)
        stored = tuple(-offset / scale if scale else 0.0 for scale, offset in steps) or (0.0,)
        return tuple((value - self.low) / (self.high - self.low) for value in stored)


@dataclass(frozen=True)
class Provenance:
    """How an image came to be, for formats that keep a record of it in the file."""

    restorer: str
    """Empty where the image was degraded and not restored; so is ``restorer_sha256``."""
    restorer_sha256: str
    recipe_id: str
    source_sha256: str
    code_version: str
    degradation: str = ""
    """What was done to the source before, as in its row; empty where nothing was."""


@dataclass(frozen=True)
class Metadata:
    """What came with the pixels and must leave with them; opaque to all but its format."""

    format: str
    """Name of the format that decoded the image, as in ``pipeline.formats.FORMATS``."""
    entries: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """EXIF, ICC, georeference, header ...: bytes or plain values under the format's own names."""
    provenance: Provenance | None = None
    """Set on what was restored; ``None`` on what was read."""


@dataclass(frozen=True)
class Image:
    """One image as stored: ``pixels_HWC`` in the domain's dtype."""

    pixels_HWC: NDArray[Any]
    domain: Domain
    metadata: Metadata
    valid_HW: NDArray[np.bool_] | None = None
    """False where there is no data; ``None`` means valid everywhere."""
    alpha_HW: NDArray[Any] | None = None
    """Opacity in the domain's dtype; carried along, enlarged with the image, never restored."""

    @property
    def size(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.pixels_HWC.shape
        return height, width, channels

    @property
    def samples(self) -> NDArray[Any]:
        """HWC: the pixels, and behind the last channel the opacity where there is one."""
        return self.pixels_HWC if self.alpha_HW is None else np.dstack([self.pixels_HWC, self.alpha_HW])

    def to_unit(self) -> NDArray[np.float32]:
        """HWC float32, domain.low at 0 and domain.high at 1."""
        return _fractions(self.pixels_HWC, self.domain)

    def to_unit_planes(self) -> NDArray[np.float32]:
        """The same as CHW, made in one pass: of a large image either takes four times the file's samples."""
        return _fractions(self.pixels_HWC.transpose(2, 0, 1), self.domain)

    def cropped(self, height: int, width: int) -> Image:
        """The upper left part of the image."""

        def cut(plane: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if plane is None else plane[:height, :width]

        return replace(
            self,
            pixels_HWC=self.pixels_HWC[:height, :width],
            valid_HW=cut(self.valid_HW),
            alpha_HW=cut(self.alpha_HW),
        )

    def with_pixels(self, pixels_HWC: NDArray[Any]) -> Image:
        """The same image with other pixels of the same dtype, perhaps of another size.

        Where there is no data the stored values stay what they were.
        """
        assert pixels_HWC.dtype == self.pixels_HWC.dtype, (pixels_HWC.dtype, self.pixels_HWC.dtype)
        height, width = pixels_HWC.shape[:2]
        valid_HW = _resized(self.valid_HW, height, width)
        if valid_HW is not None:
            own_HWC = _resized(self.pixels_HWC, height, width)
            assert own_HWC is not None
            pixels_HWC = np.where(valid_HW[:, :, None], pixels_HWC, own_HWC)
        return replace(
            self,
            pixels_HWC=pixels_HWC,
            valid_HW=valid_HW,
            alpha_HW=_resized(self.alpha_HW, height, width),
        )


def _fractions(stored: NDArray[Any], domain: Domain) -> NDArray[np.float32]:
    """Where the domain's range has them, in the order of the axes: float32, contiguous."""
    span, fractions = domain.high - domain.low, np.empty(stored.shape, np.float32)
    if domain.low == 0.0:
        # Divided, as rounding on the device does: times 1 / 255 differs in the last bit.
        np.divide(stored, np.float32(span), out=fractions, dtype=np.float32)
        return fractions
    for plane, into in zip(stored, fractions, strict=True):
        rows = max(1, _PART * len(plane) // max(plane.size, 1))
        for start in range(0, len(plane), rows):
            part = slice(start, start + rows)
            into[part] = np.subtract(plane[part], domain.low, dtype=np.float64) / span
    return fractions


def _resized(plane_HW: NDArray[Any] | None, height: int, width: int) -> NDArray[Any] | None:
    """Nearest neighbour at pixel centres, of HW or HWC: a mask must stay a mask."""
    if plane_HW is None or plane_HW.shape[:2] == (height, width):
        return plane_HW
    rows = ((np.arange(height) + 0.5) * plane_HW.shape[0] / height).astype(np.intp)
    columns = ((np.arange(width) + 0.5) * plane_HW.shape[1] / width).astype(np.intp)
    resized_HW: NDArray[Any] = plane_HW[rows[:, None], columns[None, :]]
    return resized_HW
