"""Contact sheets: reference, degraded and restored side by side, with crops and difference maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.report.crop_window import CropWindow, most_different
from pipeline.report.pixels import Pixels, data_uri, displayable, fitted, resized
from pipeline.report.sample import RESTORERS_SHOWN, Sample

WHOLE_SIDE, MAP_SIDE = 440, 360
"""Longest sides in pixels of what is embedded."""


@dataclass(frozen=True)
class Picture:
    """One column of a sheet; the three pictures are data URIs."""

    name: str
    role: str
    """``reference``, ``degraded`` or ``restored``."""
    size: str
    whole: str
    crop: str
    difference: str | None
    mean_difference: float | None
    """Mean absolute difference in grey levels (0..255)."""


@dataclass(frozen=True)
class Sheet:
    """One sample, ready for the page."""

    sample: Sample
    pictures: list[Picture]
    window: CropWindow
    brightest: int
    """Grey levels at the bright end of the difference maps."""
    against: str
    """What the difference maps compare with: ``reference`` or ``degraded``."""
    hidden: list[str]
    """Restorers left out for want of space."""

    ratio: float
    """Width over height of the whole image."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The crop's top, left, height and width in per cent of the whole image."""
        window = self.window
        top, left, height, width = (
            round(100 * side, 2) for side in (window.top, window.left, window.height, window.width)
        )
        return top, left, height, width

    @property
    def size(self) -> int:
        """Characters of embedded pictures."""
        return sum(len(p.whole) + len(p.crop) + len(p.difference or "") for p in self.pictures)


def make_sheet(sample: Sample, order: Mapping[str, int]) -> Sheet:
    """Builds the sheet of one sample.

    ``order`` ranks the restorers (0 first); the first six are shown. Difference maps compare with the
    reference or, where there is none, with the degraded image; all maps of a sheet share one scale.
    """
    names = sorted(sample.restored, key=lambda name: (order.get(name, len(order)), name))
    shown, hidden = names[:RESTORERS_SHOWN], names[RESTORERS_SHOWN:]
    columns = _columns(sample, shown)
    base = sample.reference_HWC if sample.reference_HWC is not None else sample.degraded_HWC
    assert base is not None, "a sample without reference and input"
    height, width = _frame(sample, columns)
    framed = {key: resized(pixels, height, width) for key, pixels in columns.items()}
    base_HW3 = resized(displayable(base), height, width)
    differences = {key: _difference(pixels, base_HW3) for key, pixels in framed.items()}
    window = most_different(_disagreement(framed, base_HW3))
    against = "degraded" if sample.reference_HWC is None else "reference"
    brightest = _brightest([each for (role, _), each in differences.items() if role == "restored"])
    pictures = [
        Picture(
            name=name,
            role=role,
            size=f"{pixels.shape[1]} × {pixels.shape[0]}",
            whole=data_uri(fitted(pixels, WHOLE_SIDE), "JPEG"),
            crop=data_uri(window.cut(pixels), "PNG"),
            difference=None if role == against else _map_uri(differences[role, name], brightest),
            mean_difference=None if role == against else float(differences[role, name].mean()),
        )
        for (role, name), pixels in columns.items()
    ]
    return Sheet(sample, pictures, window, brightest, against, hidden, ratio=round(width / height, 4))


def _columns(sample: Sample, shown: list[str]) -> dict[tuple[str, str], Pixels]:
    """(role, name) -> H x W x 3."""
    columns = {}
    if sample.reference_HWC is not None:
        columns["reference", "Reference"] = displayable(sample.reference_HWC)
    if sample.degraded_HWC is not None:
        name = "Input" if sample.reference_HWC is None else "Degraded"
        columns["degraded", name] = displayable(sample.degraded_HWC)
    return columns | {("restored", name): displayable(sample.restored[name]) for name in shown}


def _frame(sample: Sample, columns: dict[tuple[str, str], Pixels]) -> tuple[int, int]:
    """Height and width that everything is compared at: the reference's, else the largest's."""
    shapes = [pixels.shape[:2] for pixels in columns.values()]
    if sample.reference_HWC is not None:
        height, width = sample.reference_HWC.shape[:2]
    else:
        height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    return height, width


def _difference(pixels_HW3: Pixels, base_HW3: Pixels) -> NDArray[np.float32]:
    """Mean absolute difference over channels in grey levels: H x W."""
    difference_HW3 = np.abs(pixels_HW3.astype(np.int16) - base_HW3)
    return np.asarray(difference_HW3.mean(axis=2), dtype=np.float32)


def _disagreement(framed: dict[tuple[str, str], Pixels], base_HW3: Pixels) -> NDArray[np.float64]:
    """How far the restored images lie apart; a single one is held against what it is compared with."""
    restored = [pixels for (role, _), pixels in framed.items() if role == "restored"] or list(framed.values())
    if len(restored) == 1:
        return _difference(restored[0], base_HW3).astype(np.float64)
    total = np.zeros(base_HW3.shape, dtype=np.float64)
    for pixels in restored:
        total += pixels
    mean_HW3 = total / len(restored)
    apart = [np.abs(pixels - mean_HW3).mean(axis=2) for pixels in restored]
    return np.asarray(np.mean(apart, axis=0), dtype=np.float64)


def _brightest(differences: list[NDArray[np.float32]]) -> int:
    """The 99.5th percentile of the restored ones' differences, a multiple of 4.

    A few outliers, or an input much worse than everything restored from it, must not darken the maps.
    """
    if not differences:
        return 4
    percentile = max(float(np.percentile(each, 99.5)) for each in differences)
    return int(min(max(np.ceil(percentile / 4) * 4, 4), 255))


def _map_uri(difference_HW: NDArray[np.float32], brightest: int) -> str:
    grey = np.clip(np.rint(difference_HW * (255 / brightest)), 0, 255).astype(np.uint8)
    return data_uri(magma()[fitted(displayable(grey), MAP_SIDE)[:, :, 0]], "JPEG")


@lru_cache(maxsize=1)
def magma() -> Pixels:
    """The 256 colours of the difference maps, black to light yellow: 256 x 3."""
    import matplotlib

    colours = matplotlib.colormaps["magma"](np.arange(256))
    return np.asarray(np.rint(colours[:, :3] * 255), dtype=np.uint8)
