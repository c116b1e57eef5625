"""What the header of a DICOM object says of its pixels (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.dicom.dataset import text, whole_number

_SAMPLES = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}
"""PhotometricInterpretation -> SamplesPerPixel (C.7.6.3.1.2), of those that are not retired or of video."""


@dataclass(frozen=True)
class PixelLayout:
    """What the header says of the pixels."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric: str

    @classmethod
    def of(cls, dataset: Dataset) -> PixelLayout:
        """``ImageError("UNREADABLE")`` where an attribute is missing or impossible."""
        layout = cls(
            rows=whole_number(dataset, "Rows"),
            columns=whole_number(dataset, "Columns"),
            frames=whole_number(dataset, "NumberOfFrames", 1),
            samples=whole_number(dataset, "SamplesPerPixel", 1),
            bits_allocated=whole_number(dataset, "BitsAllocated"),
            bits_stored=whole_number(dataset, "BitsStored"),
            is_signed=whole_number(dataset, "PixelRepresentation", 0) == 1,
            photometric=text(dataset, "PhotometricInterpretation"),
        )
        if layout.frames < 1 or layout.samples not in (1, 3):
            raise ImageError("UNREADABLE", "NumberOfFrames or SamplesPerPixel is impossible")
        if not 1 <= layout.bits_stored <= layout.bits_allocated <= 64:
            raise ImageError("UNREADABLE", "BitsStored or BitsAllocated is impossible")
        if _SAMPLES.get(layout.photometric) != layout.samples:
            raise ImageError(
                "UNREADABLE",
                "PhotometricInterpretation and SamplesPerPixel name no kind of pixels that is read; correct "
                "the DICOM header",
            )
        return layout

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest stored value."""
        if self.is_signed:
            return -(1 << self.bits_stored - 1), (1 << self.bits_stored - 1) - 1
        return 0, (1 << self.bits_stored) - 1

    @property
    def is_inverted(self) -> bool:
        """Whether the least value is white."""
        return self.photometric == "MONOCHROME1"

    @property
    def native_bytes(self) -> int:
        """Length of the pixel data where they are not compressed."""
        bits = self.rows * self.columns * self.samples * self.frames * self.bits_allocated
        return (bits * 2 // 3 if self.photometric == "YBR_FULL_422" else bits) + 7 >> 3

    def check(self, limits: Limits) -> None:
        """Refuses what has no pixels or more than the limit, all frames together."""
        limits.check(self.rows, self.columns)
        if self.rows * self.columns * self.frames > limits.max_pixels:
            raise ImageError(
                "TOO_LARGE",
                f"{self.frames} frames of {self.columns} x {self.rows} pixels are more than the limit of "
                f"{limits.max_pixels}; raise max_pixels",
            )

    def turned(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Black for white where the object is MONOCHROME1; its own inverse."""
        if not self.is_inverted:
            return stored
        turned: NDArray[Any] = (sum(self.range) - stored.astype(np.int64)).astype(stored.dtype)
        return turned
