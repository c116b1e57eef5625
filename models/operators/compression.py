"""Compression: an image through a lossy codec and back.

Images are rounded and clipped to the codec's integers. One and three channels are coded as grey and
RGB; any other number of channels is coded band by band, each as a grey image. The pixels depend on the
version of the codec library that Pillow was built with.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor

from models.operators.parameters import ROUNDINGS
from models.parameters import Checked, choice, number, whole

Codec = Callable[[NDArray[np.generic]], NDArray[np.generic]]


def whole_levels(image_BCHW: Tensor, top: int) -> Tensor:
    """Fractions of the range as a codec takes them: whole numbers from 0 to ``top``, still floating-point."""
    return (image_BCHW.detach() * top).round_().clamp_(0, top)


def _through(codec: Codec, image_BCHW: Tensor, dtype: str) -> Tensor:
    """Every image of the batch as integers through the codec and back to fractions of the range."""
    top = ROUNDINGS[dtype]
    whole_BHWC = whole_levels(image_BCHW, top).permute(0, 2, 3, 1).cpu().numpy().astype(dtype)
    decoded_BHWC = np.stack([_by_planes(codec, pixels_HWC) for pixels_HWC in whole_BHWC])
    decoded_BCHW = torch.from_numpy(decoded_BHWC.astype(np.float32)).permute(0, 3, 1, 2)
    return (decoded_BCHW / top).contiguous().to(image_BCHW)


def _by_planes(codec: Codec, pixels_HWC: NDArray[np.generic]) -> NDArray[np.generic]:
    if pixels_HWC.shape[2] == 3 and pixels_HWC.dtype == np.uint8:
        return codec(pixels_HWC)
    return np.stack([codec(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels_HWC, 2, 0)], axis=2)


@dataclass(frozen=True)
class Jpeg(Checked):
    """Baseline JPEG by libjpeg, 8 bits per sample."""

    name: ClassVar[str] = "jpeg"

    quality: int = whole(low=1, high=100)
    """libjpeg's quality, a whole number in [1, 100]."""
    subsampling: str = choice("4:2:0", "4:2:2", "4:4:4")
    """Of the chroma of RGB images: "4:2:0" (half of both sides), "4:2:2" (half the width), "4:4:4"."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The decoded image; ``ValueError`` for one of more than 65500 rows or columns."""
        height, width = image_BCHW.shape[2:]
        if max(height, width) > 65500:
            raise ValueError(f"jpeg: height and width must be at most 65500, got {height} x {width}")
        return _through(self._codec, image_BCHW, "uint8")

    def _codec(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(self.quality), subsampling=self.subsampling)
        return np.asarray(Image.open(file))


@dataclass(frozen=True)
class Jpeg2000(Checked):
    """JPEG 2000 by OpenJPEG with the irreversible 9/7 wavelet, 8 or 16 bits per sample."""

    name: ClassVar[str] = "jpeg2000"

    ratio: float = number(low=1, high=1000)
    """Size of the raw pixels / size of the code stream, in [1, 1000]."""
    dtype: str = choice("uint8", "uint16")
    """"uint8", or "uint16" (as Sentinel-2 products), which is coded band by band."""

    def __call__(self, image_BCHW: Tensor, rng: Generator) -> Tensor:
        """The decoded image, same shape."""
        return _through(self._codec, image_BCHW, self.dtype)

    def _codec(self, pixels: NDArray[np.generic]) -> NDArray[np.generic]:
        file = io.BytesIO()
        # Each wavelet level halves the sides; OpenJPEG refuses levels that an image has no pixels for.
        levels = min(6, min(pixels.shape[:2]).bit_length())
        Image.fromarray(pixels).save(
            file,
            "JPEG2000",
            irreversible=True,
            quality_mode="rates",
            quality_layers=[float(self.ratio)],
            num_resolutions=levels,
        )
        return np.asarray(Image.open(file))
