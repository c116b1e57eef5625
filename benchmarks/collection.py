"""Collections of small photographs for the benchmarks."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
from skimage import data as photographs


def write_photographs(folder: Path, count: int, side: int) -> None:
    """``count`` PNG files of ``side`` x ``side`` pixels, random crops of four photographs."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sources = [photographs.astronaut(), photographs.coffee(), photographs.chelsea(), photographs.rocket()]
    for number in range(count):
        whole = sources[number % len(sources)]
        top, left = (int(rng.integers(0, length - side + 1)) for length in whole.shape[:2])
        crop = np.ascontiguousarray(whole[top : top + side, left : left + side])
        (folder / f"{number:06d}.png").write_bytes(imagecodecs.png_encode(crop, level=1))
