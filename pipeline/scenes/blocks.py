"""Blocks: rectangles of an output between the restoring of a strip and the assembly. Written once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pipeline.formats.geotiff.mosaic import Block
from pipeline.ledger.schema import Row
from pipeline.storage.folder import Folder
from pipeline.units import Unit

WORK = "scenes"
"""Folder below the run folder that holds nothing once a run is finished."""


class Rectangle(NamedTuple):
    """The place of a block in the output."""

    top: int
    left: int
    height: int
    width: int


class Blocks:
    """The blocks of one attempt at one scene."""

    def __init__(self, folder: Folder, unit: Unit) -> None:
        self._folder = folder
        self._prefix = f"{WORK}/{unit.sources[0].source_id}/{unit.attempt}"

    def put(self, where: Rectangle, data: bytes) -> None:
        """Stores a block; the same rectangle always holds the same bytes."""
        self._folder.put(self._key(where), data)

    def fetch(self, rectangles: Sequence[Rectangle], scratch: Path, threads: int = 4) -> list[Block]:
        """The blocks as files: where they are, if that is a disk, else copies in ``scratch``."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda where: self._fetch(where, scratch), rectangles))

    def stored(self) -> frozenset[Rectangle]:
        """Those that are there."""
        keys = self._folder.keys(self._prefix, ".raw")
        names = (key.rsplit("/", 1)[-1].removesuffix(".raw") for key in keys)
        return frozenset(Rectangle(*map(int, name.split("-"))) for name in names)

    def delete(self) -> None:
        """Removes them all."""
        delete_below(self._folder, self._prefix)

    def _fetch(self, where: Rectangle, scratch: Path) -> Block:
        key = self._key(where)
        path = Path(self._folder.root, key)
        if not self._folder.is_local:
            path = scratch / key.replace("/", "-")
            with self._folder.open(key) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 22)
        return Block(path, *where)

    def _key(self, where: Rectangle) -> str:
        return f"{self._prefix}/{'-'.join(map(str, where))}.raw"


def delete_below(folder: Folder, prefix: str) -> None:
    """Removes every block under a prefix."""
    for key in folder.keys(prefix, ".raw"):
        folder.delete(key)
    if folder.is_local:
        shutil.rmtree(Path(folder.root, prefix), ignore_errors=True)


def to_json(rectangles: Iterable[Rectangle]) -> str:
    """For the strip's row."""
    return json.dumps(list(rectangles))


def named_by(strip: Row) -> list[Rectangle]:
    """The blocks of a strip, by its row; none where it failed."""
    return [Rectangle(*each) for each in json.loads(strip["blocks"] or "[]")]
