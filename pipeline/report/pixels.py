"""Pixels as pictures that a page can hold: uint8 arrays to data URIs."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def displayable(pixels_HWC: Pixels) -> Pixels:
    """H x W x 3: grey repeated, the first three of more channels."""
    if pixels_HWC.ndim == 2:
        pixels_HWC = pixels_HWC[:, :, None]
    if pixels_HWC.shape[2] < 3:
        return np.repeat(pixels_HWC[:, :, :1], 3, axis=2)
    return pixels_HWC[:, :, :3]


def resized(pixels_HW3: Pixels, height: int, width: int) -> Pixels:
    """Area mean where it shrinks, nearest pixel where it grows: nothing invented."""
    if pixels_HW3.shape[:2] == (height, width):
        return pixels_HW3
    shrinks = height * width < pixels_HW3.shape[0] * pixels_HW3.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels_HW3)).resize((width, height), method))


def fitted(pixels_HW3: Pixels, longest: int) -> Pixels:
    """Shrunk so that no side is longer; never enlarged."""
    height, width = pixels_HW3.shape[:2]
    factor = min(longest / max(height, width), 1.0)
    return resized(pixels_HW3, max(round(height * factor), 1), max(round(width * factor), 1))


def data_uri(pixels_HW3: Pixels, kind: Literal["JPEG", "PNG"]) -> str:
    """The picture as a base64 data URI."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels_HW3)).save(buffer, kind, quality=84, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
