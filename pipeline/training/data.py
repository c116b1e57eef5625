"""Photographs for training: decoded once, cut at random ever after.

Shapes: N photographs, H and W height and width, B batch, C channels.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pipeline.errors import JobError

Photographs = dict[str, NDArray[np.uint8]]
"""File name -> uint8 HWC."""

EXTENSIONS = (".png", ".tif", ".tiff", ".webp", ".bmp", ".jpg", ".jpeg")


def read_photographs(folder: Path, channels: int = 3) -> Photographs:
    """Name -> uint8 HWC for every photograph right in ``folder``, in the order of their names.

    Raises ``JobError`` where the folder holds none.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in EXTENSIONS)
    if not files:
        raise JobError(f"no photographs in {folder}: expected files ending in {', '.join(EXTENSIONS)}")
    return {path.name: _read(path, channels) for path in files}


def _read(path: Path, channels: int) -> NDArray[np.uint8]:
    with PIL.Image.open(path) as file:
        pixels = np.asarray(file.convert("RGB" if channels == 3 else "L"))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_sources(table: Path, photographs: Photographs) -> list[dict[str, str]]:
    """Package, file, licence and author of each photograph, out of a tab-separated table.

    Lines are use, package, file, licence, author; ``#`` starts a comment. Extensions do not count.
    Raises ``JobError`` where a photograph is not in the table: nothing is trained on unknown terms.
    """
    with table.open(newline="") as lines:
        rows = list(csv.reader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    known = {Path(name).stem: (package, name, licence, author) for _, package, name, licence, author in rows}
    if unknown := [name for name in photographs if Path(name).stem not in known]:
        raise JobError(f"{table} does not list {', '.join(unknown)}; add package, file, licence and author")
    keys = ("package", "file", "licence", "author")
    return [dict(zip(keys, known[Path(name).stem], strict=True)) for name in photographs]


def digest(photographs: Photographs) -> str:
    """SHA-256 over names, shapes and pixels: the identity of a training set."""
    total = hashlib.sha256()
    for name, pixels_HWC in sorted(photographs.items()):
        total.update(f"{name} {pixels_HWC.shape} ".encode())
        total.update(np.ascontiguousarray(pixels_HWC).data)
    return total.hexdigest()


class RandomPatches:
    """Square patches cut at random from photographs, flipped and turned by quarters.

    ``patches(batch, rng)`` gives uint8 BCHW. A photograph is drawn in proportion to its area. Of
    ``busiest_of`` candidate places the one with the strongest gradients is taken: skies and
    blurred backgrounds fill most of a photograph and teach little.
    """

    def __init__(self, photographs: Sequence[NDArray[np.uint8]], size: int, busiest_of: int = 1) -> None:
        if small := [pixels.shape for pixels in photographs if min(pixels.shape[:2]) < size]:
            raise JobError(f"photographs of {small[0][:2]} pixels are smaller than the patch size {size}")
        self._photographs_HWC = [torch.from_numpy(np.array(pixels)) for pixels in photographs]
        self._areas_N = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self._photographs_HWC])
        self._size, self._busiest_of = size, busiest_of

    def __call__(self, batch: int, rng: Generator) -> Tensor:
        """``batch`` patches, uint8 BCHW."""
        return torch.stack([self._patch(rng) for _ in range(batch)])

    def _patch(self, rng: Generator) -> Tensor:
        candidates = [self._cut(rng) for _ in range(self._busiest_of)]
        patch_CHW = max(candidates, key=_gradient) if len(candidates) > 1 else candidates[0]
        flip, turns = _whole(2, rng), _whole(4, rng)
        return torch.rot90(patch_CHW.flip(-1) if flip else patch_CHW, turns, dims=(-2, -1))

    def _cut(self, rng: Generator) -> Tensor:
        photograph_HWC = self._photographs_HWC[int(torch.multinomial(self._areas_N, 1, generator=rng))]
        top = _whole(photograph_HWC.shape[0] - self._size + 1, rng)
        left = _whole(photograph_HWC.shape[1] - self._size + 1, rng)
        return photograph_HWC[top : top + self._size, left : left + self._size].permute(2, 0, 1)


def _whole(limit: int, rng: Generator) -> int:
    return int(torch.randint(limit, (), generator=rng))


def _gradient(patch_CHW: Tensor) -> float:
    """Mean absolute difference of neighbours, in 8-bit levels."""
    values = patch_CHW.float()
    return float(values.diff(dim=-1).abs().mean() + values.diff(dim=-2).abs().mean())
