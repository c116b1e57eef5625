"""Collections of small photographs for the benchmarks."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from skimage import data as photographs


def write_photographs(folder: Path, count: int, side: int) -> None:
    """``count`` PNG files of ``side`` x ``side`` pixels, random crops of four photographs.

    Where they are larger than a photograph, its mirror images continue it.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sources = [photographs.astronaut(), photographs.coffee(), photographs.chelsea(), photographs.rocket()]
    for number in range(count):
        whole = _continued(sources[number % len(sources)], side)
        top, left = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
        crop = np.ascontiguousarray(whole[top : top + side, left : left + side])
        (folder / f"{number:06d}.png").write_bytes(imagecodecs.png_encode(crop, level=1))


def _continued(photograph_HWC: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    missing = [(0, max(0, side - length)) for length in photograph_HWC.shape[:2]]
    return np.pad(photograph_HWC, (*missing, (0, 0)), mode="symmetric")
