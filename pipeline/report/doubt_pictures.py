"""Maps of doubt: half-widths of intervals, and flagged patches drawn on the restored image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.unsupported import PATCH
from pipeline.formats.turning import orientation_of, upright
from pipeline.jobs.job import NO_DEGRADATION
from pipeline.processing.cases import Loaded, Outcome
from pipeline.processing.processor import Processor
from pipeline.report.display import Display
from pipeline.report.doubt_picture import DoubtPicture
from pipeline.report.pixels import Pixels, data_uri, displayable, fitted
from pipeline.report.sheets import magma

SIDE = 360
"""Longest side in pixels of what is embedded."""
MOST_PIXELS = 1 << 22
"""Larger images are not restored eight times more for a picture of a few hundred pixels."""
_FLAG = np.array([255, 84, 0], np.float64)


def doubt_pictures(processor: Processor, images: Iterable[Loaded]) -> Iterator[DoubtPicture]:
    """Of a restore run's images, by a processor that makes maps; those without any are left out."""
    for loaded in images:
        height, width, _ = loaded.image.size
        if height * width > MOST_PIXELS:
            continue
        for outcome in processor([loaded]):
            if outcome.degradation == NO_DEGRADATION and outcome.restored is not None and outcome.maps:
                yield _picture(loaded, outcome)


def _picture(loaded: Loaded, outcome: Outcome) -> DoubtPicture:
    assert outcome.restored is not None
    orientation = orientation_of(loaded.image)
    shown = displayable(Display.of(outcome.restored)(outcome.restored))
    scale = max(shown.shape[0] // loaded.image.size[0], 1)
    half, ratio = outcome.maps.get("half-width"), outcome.maps.get("flags")
    brightest = 1.0 if half is None else max(float(np.percentile(half, 99.5)) * 255, 1.0)

    def uri(pixels: Pixels) -> str:
        return data_uri(fitted(displayable(upright(pixels, orientation)), SIDE), "JPEG")

    return DoubtPicture(
        dataset=loaded.source.dataset,
        key=loaded.source.key,
        restored=uri(shown),
        width=None if half is None else uri(_heat(half * 255 / brightest)),
        brightest=f"{brightest:.0f}",
        flagged=None if ratio is None or not (ratio > 1).any() else uri(_tinted(shown, ratio, scale)),
        flags=0 if ratio is None else int((ratio > 1).sum()),
    )


def _heat(share_HW: NDArray[np.float32]) -> Pixels:
    return magma()[np.clip(np.rint(share_HW * 255), 0, 255).astype(np.uint8)]


def _tinted(shown_HW3: Pixels, ratio_RK: NDArray[np.float32], scale: int) -> Pixels:
    """The picture in grey, flagged patches in a colour; the last ones may reach beyond the image."""
    height, width = shown_HW3.shape[:2]
    side = PATCH * scale
    flagged = np.repeat(np.repeat(ratio_RK > 1, side, axis=0), side, axis=1)[:height, :width]
    grey = np.repeat(shown_HW3.mean(axis=2, keepdims=True), 3, axis=2)
    tinted = np.where(flagged[:, :, None], 0.45 * grey + 0.55 * _FLAG, grey)
    return np.asarray(np.rint(tinted), np.uint8)
