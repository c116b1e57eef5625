"""Photographs as viewers turn them: by the orientation of their EXIF data (EXIF 2.3, tag 274)."""

from __future__ import annotations

import struct

import numpy as np

from pipeline.formats.base import EXIF
from pipeline.formats.exif import read_exif
from pipeline.imaging.image import Image
from pipeline.report.pixels import Pixels

_ORIENTATION = 274
_SHORT = 3
# Orientation -> (whether rows and columns change places first, whether then rows, and columns, are reversed).
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def orientation_of(image: Image) -> int:
    """1 (as stored) to 8; 1 where the file says nothing, or nothing that can be read."""
    try:
        order, directory = read_exif(image.metadata.entries[EXIF])
        tag = next(each for each in directory.tags if each.code == _ORIENTATION and each.kind == _SHORT)
        found = int(struct.unpack_from(f"{order}H", tag.value)[0])
    except (KeyError, StopIteration, ValueError, EOFError, struct.error):
        return 1
    return found if found in _TURNS else 1


def upright(pixels_HWC: Pixels, orientation: int) -> Pixels:
    """The stored pixels turned for the eye; height and width change places for 5 to 8."""
    swapped, rows, columns = _TURNS.get(orientation, (False, False, False))
    if swapped:
        pixels_HWC = pixels_HWC.swapaxes(0, 1)
    return np.ascontiguousarray(pixels_HWC[:: -1 if rows else 1, :: -1 if columns else 1])
