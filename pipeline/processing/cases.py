"""What passes through the device: an image as loaded, a case of it, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from pipeline.degradation.degradation import Degraded
from pipeline.imaging.image import Image
from pipeline.imaging.radiometry import left_alone, to_stored
from pipeline.units import Source


@dataclass(frozen=True)
class Loaded:
    """A source that was fetched and decoded."""

    source: Source
    sha256: str
    size: int
    image: Image


@dataclass(frozen=True)
class Case:
    """One image under one degradation, on the device."""

    loaded: Loaded
    reference: Image
    """The source, cut to a multiple of the degradation's scale."""
    reference_1CHW: Tensor
    degraded: Degraded
    fields: dict[str, Any]

    def degraded_image(self) -> Image:
        """The restorer's input as it would be saved: rounded and clipped to the source's dtype."""
        domain = self.reference.domain
        pixels_HWC = to_stored(self.degraded.image_BCHW, domain)[0]
        return self.with_pixels(pixels_HWC, self.degraded.image_BCHW[0])

    def with_pixels(self, pixels_HWC: NDArray[Any], image_CHW: Tensor) -> Image:
        """The source with other pixels, made of this tensor; what was left alone is the source's own."""
        known = [self.reference_1CHW[0], self.degraded.image_BCHW[0]]
        if all(each.shape == image_CHW.shape for each in known):
            same_CHW = (image_CHW == known[0]) & (image_CHW == known[1])
            pixels_HWC = left_alone(pixels_HWC, self.reference, same_CHW)
        return self.reference.with_pixels(pixels_HWC)


@dataclass(frozen=True)
class Failure:
    """An image that could not be degraded."""

    loaded: Loaded
    error: Exception


@dataclass(frozen=True)
class Outcome:
    """One image x degradation x restorer: what was made of it, or why nothing was."""

    loaded: Loaded
    degradation: str
    restorer: str
    fields: dict[str, Any] = field(default_factory=dict)
    """Columns of the row that are known here."""
    case: Case | None = None
    """The image as it was degraded, on the device; ``None`` where that failed."""
    restored: Image | None = None
    """In the source's dtype, rounded and clipped: what is stored is what was scored."""
    error: Exception | None = None
    stage: str = ""
