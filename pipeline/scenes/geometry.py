"""How a scene is cut: strips for units, bands of rows and panels for memory. Only geometry.

All borders but those of the scene lie on one grid of the scene, so that a panel is the same panel
whatever strip it is done in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from models.card import Card
from models.tiling import CORE, rounded_up

BAND = CORE
"""Rows of a panel, as many as a window's core has."""
PANEL_WIDTH = 4 * CORE
"""Columns of a panel: what is read, restored and written at a time."""
_PHASE = BAND // 2
"""Borders lie in the middle of blocks of 512 rows, so that a halo needs no further block."""

Range = tuple[int, int]
"""First row or column, and the first one after the last."""


@dataclass(frozen=True)
class Panel:
    """A rectangle of the scene, and what is read around it."""

    rows: Range
    columns: Range
    read_rows: Range
    """With the halo, cut at the scene's borders; begins and, inside the scene, ends at a multiple."""
    read_columns: Range


def strip_cuts(height: int, width: int, bands: int, most_samples: int) -> tuple[int, ...]:
    """First row of every strip and the height: as few strips as hold so many samples, about equally high."""
    rows = max(most_samples // (width * bands), BAND)
    count = -(-height // rows)
    inner = {round((index * height / count - _PHASE) / BAND) * BAND + _PHASE for index in range(1, count)}
    return (0, *sorted(cut for cut in inner if 0 < cut < height), height)


def row_bands(rows: Range) -> list[Range]:
    """The rows of a strip in bands of at most ``BAND``, from above."""
    return _cut(rows, BAND, _PHASE)


def panels(rows: Range, size: Range, card: Card) -> Iterator[Panel]:
    """The panels of a band of a scene of this height and width, from left to right."""
    for columns in _cut((0, size[1]), PANEL_WIDTH, 0):
        yield Panel(rows, columns, reach(rows, size[0], card), reach(columns, size[1], card))


def reach(core: Range, length: int, card: Card) -> Range:
    """What a restorer has to see along one side of ``length`` pixels for the pixels of ``core``.

    Where it does not end at the scene's border, no padding is needed: it is long enough, and a multiple.
    """
    assert card.halo is not None, card.name
    multiple = card.multiple_of
    start = max(core[0] - card.halo, 0) // multiple * multiple
    stop = min(rounded_up(core[1] + card.halo, multiple), length)
    if stop - start < card.minimum_size:
        stop = min(rounded_up(start + card.minimum_size, multiple), length)
        start = max(min(start, stop - card.minimum_size), 0) // multiple * multiple
    return start, stop


def widened(side: Range, margin: int, length: int) -> Range:
    """So much more on both sides, inside the scene."""
    return max(side[0] - margin, 0), min(side[1] + margin, length)


def steps(length: int, step: int) -> list[Range]:
    """A side of a scene in ranges of ``step``; the last one is longer by what is left."""
    return list(pairwise([*range(0, max(length - step, 0) + 1, step), length]))


def _cut(side: Range, step: int, phase: int) -> list[Range]:
    first, last = side
    borders = range((first - phase) // step * step + step + phase, last, step)
    return list(pairwise([first, *borders, last]))
