"""How much a restorer may do at a time on one device: found by trying, remembered per machine.

Only how the work is cut is decided here. Tile-exact restorers give the same pixels however they are cut;
others are run whole, and where that does not fit, blended, which the row then says.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.contract import Condition
from models.restorer import Restorer
from models.tiled_traversal import TiledTraversal
from models.tiling import CORE, LEAST_CORE, Span, Tiling, tiles_of
from pipeline.hashing import short_hash
from pipeline.processing.memory_limit import allowed_memory, held_memory
from pipeline.processing.memory_need import most_pixels
from pipeline.quarantine import is_out_of_memory
from pipeline.storage.folder import Folder

CALL_PIXELS = {"cuda": 1 << 22}
"""Input pixels of one call that are tried first, by kind of device."""
CPU_CALL_PIXELS = 1 << 16
"""On a CPU and elsewhere: small images gain from company, larger ones leave the cache."""
LARGE = 1 << 20
"""Pixels of an image before which it is measured what a restorer needs, where lack of memory is no error."""
MUCH = 1 << 14
"""Bytes of memory for each pixel, more than transformers take; where there is less, it is measured sooner."""


@dataclass(frozen=True)
class MemoryBudget:
    """What was found to fit."""

    pixels: int
    """Input pixels of one call; a single tile always goes."""
    core: int = CORE
    """Side of a tile's core."""
    whole: int | None = None
    """Pixels at which an image no longer goes whole through a restorer that is not tile-exact; ``None``
    where all did."""

    @classmethod
    def of(cls, fields: object) -> MemoryBudget | None:
        """From JSON; nothing for what is not a budget."""
        if not isinstance(fields, dict) or set(fields) != {"pixels", "core", "whole"}:
            return None
        whole = fields["whole"]
        values = (fields["pixels"], fields["core"], 1 if whole is None else whole)
        if any(type(value) is not int or value < 1 for value in values):
            return None
        return cls(**fields)

    def at_most(self, first: MemoryBudget) -> MemoryBudget:
        """Twice as much, but no more than is tried first.

        A device that was crowded once would otherwise be held for small for ever; the price is a failed
        call per process.
        """
        whole = None if self.whole is None else 2 * self.whole
        return MemoryBudget(min(2 * self.pixels, first.pixels), min(2 * self.core, first.core), whole)


class AutoTiledRestorer:
    """``tiled(degraded_BCHW, condition)`` restores a batch in pieces that fit the device.

    Out of memory: half the pixels of a call, then half the tile, down to ``LEAST_CORE``; then the error is
    the caller's. On a CPU, where that is a kill and no error, it is measured before the first large image
    how many pixels fit: of restorers that take images whole, and of all where memory is short. ``digest``
    identifies the restorer; ``compiled`` runs its networks through ``torch.compile``; ``cache`` is where
    budgets are kept, by default the user's; ``memory_share`` is the part of the machine that others leave
    to this process.
    """

    def __init__(
        self,
        restorer: Restorer,
        digest: str,
        device: torch.device,
        *,
        compiled: bool = False,
        cache: Folder | None = None,
        memory_share: float = 1.0,
    ) -> None:
        self.restorer, self.memory_share = restorer.to(device), memory_share
        if compiled:
            restorer.compile()
        self._cache = cache or Folder(
            os.environ.get("RESTORA_CACHE") or str(Path.home() / ".cache" / "restora")
        )
        self._key = (
            f"capacity/{short_hash(digest, restorer.precision, str(compiled), _device_name(device))}.json"
        )
        first = MemoryBudget(CALL_PIXELS.get(device.type, CPU_CALL_PIXELS))
        remembered = self._remembered()
        self.budget = remembered.at_most(first) if remembered else first
        self._memory = allowed_memory() * memory_share
        self._large = min(LARGE, self._memory / MUCH)
        is_cut = restorer.card.tile_exact and self._large >= CORE * CORE  # into tiles that fit anyway
        self._is_measurable = device.type == "cpu" and not compiled and not is_cut
        self._fits = math.inf

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> tuple[Tensor, dict[str, Any]]:
        """The restored batch, on the same device, and the row's ``tiling`` where an image was cut."""
        size, before = _padded_size(self.restorer, degraded_BCHW), self.budget
        if self._is_measurable and size[0] * size[1] >= self._large:
            self._fits, self._is_measurable = self._measured(degraded_BCHW, condition), False
        while (restored := self._tried(degraded_BCHW, condition, size)) is None:
            # Not before the failed try has returned: its error holds the tensors of the call.
            if degraded_BCHW.is_cuda:
                torch.cuda.empty_cache()
        if self.budget != before:
            self._remember()
        restored_BCHW, tiling = restored
        return restored_BCHW, {"tiling": tiling.described()} if tiling and tiling.cuts(*size) else {}

    def _tried(
        self, degraded_BCHW: Tensor, condition: Condition, size: tuple[int, int]
    ) -> tuple[Tensor, Tiling | None] | None:
        """The restored batch and how it was cut; nothing where it did not fit: then the budget is smaller."""
        tiling = self._tiling(*size)  # now: another thread may find that less fits
        traversal = TiledTraversal(tiling, self.budget.pixels)
        try:
            return self.restorer(degraded_BCHW, condition=condition, traversal=traversal), tiling
        except Exception as error:
            smaller = self._smaller(len(degraded_BCHW), *size) if is_out_of_memory(error) else None
            if smaller is None:
                raise
            self.budget = smaller
            return None

    def _tiling(self, height: int, width: int) -> Tiling | None:
        card, whole = self.restorer.card, self.budget.whole
        is_whole = (whole is None or height * width < whole) and height * width <= self._fits
        if is_whole and not card.tile_exact:
            return None
        tiling = Tiling.of(card, self.budget.core)
        for core in _halves(self.budget.core):
            if tiling is None or _most(tiling, height, width) <= self._fits:
                break
            tiling = Tiling.of(card, core)
        return tiling

    def _measured(self, degraded_BCHW: Tensor, condition: Condition) -> float:
        """Pixels of an image that goes whole through the restorer, in the memory that one may take."""
        small = Tiling.of(self.restorer.card, LEAST_CORE)
        large = None if small is None else Tiling.of(self.restorer.card, 2 * small.core)
        if small is None or large is None:
            return math.inf
        return most_pixels(
            self.restorer, (small, large), degraded_BCHW, condition, self._memory - held_memory()
        )

    def _smaller(self, batch: int, height: int, width: int) -> MemoryBudget | None:
        """The next thing to try; nothing where a single tile of the least size is too large."""
        tiling = self._tiling(height, width)
        tiles = tiles_of(tiling, height, width)
        area = _area(tiles)
        tried = min(self.budget.pixels, batch * len(tiles) * area)
        if tried >= 2 * area:
            return replace(self.budget, pixels=tried // 2)
        if tiling is None:
            blended = Tiling.of(self.restorer.card, self.budget.core)
            return replace(self.budget, whole=height * width) if blended else None
        for core in _halves(self.budget.core):
            smaller = Tiling.of(self.restorer.card, core)
            if smaller is not None and _area(smaller.tiles(height, width)) < area:
                return replace(self.budget, core=core)
        return None

    def _remembered(self) -> MemoryBudget | None:
        try:
            return MemoryBudget.of(json.loads(self._cache.read(self._key)))
        except (OSError, ValueError):
            return None  # never written, or not by us

    def _remember(self) -> None:
        try:
            self._cache.put(self._key, json.dumps(asdict(self.budget)).encode())
        except OSError:
            return  # a home that cannot be written costs another try in the next process, nothing more


def _padded_size(restorer: Restorer, degraded_BCHW: Tensor) -> tuple[int, int]:
    height, width = degraded_BCHW.shape[-2:]
    bottom, right = restorer.padding(height, width)
    return height + bottom, width + right


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return device.type
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory >> 20} MiB"  # a slice of a device has its name, not its memory


def _area(tiles: list[tuple[Span, Span]]) -> int:
    rows, columns = tiles[0]
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def _most(tiling: Tiling, height: int, width: int) -> int:
    """Pixels that a tile in the middle of an image reads."""
    side = tiling.core + 2 * tiling.halo
    return min(height, side) * min(width, side)


def _halves(core: int) -> Iterator[int]:
    while core >= 2 * LEAST_CORE:
        core //= 2
        yield core
