"""A strip: rows in, blocks out, and between them no more than a band of rows in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from pipeline.scenes.blocks import Rectangle
from pipeline.scenes.geometry import Range, panels, row_bands
from pipeline.scenes.panel import Panels
from pipeline.scenes.row_stream import rolling

_WAITING = 3
"""Blocks that may wait for the store."""


def restore_strip(work: Panels, rows: Range, put: Callable[[Rectangle, bytes], None]) -> list[Rectangle]:
    """Restores the rows and puts their blocks; returns where those lie. Raises what reading, restoring
    and putting raise."""
    scene, card = work.scene, work.fitted.restorer.card
    bands = row_bands(rows)
    written: list[Rectangle] = []
    with rolling(scene, [work.rows(band) for band in bands]) as coming, _Writing(put) as writing:
        for band, groups in zip(bands, coming, strict=True):
            for panel in panels(band, scene.size, card):
                where, data = work(panel, groups)
                writing.add(where, data)
                written.append(where)
    return written


class _Writing:
    """Puts blocks on a thread, a few waiting at most; leaving waits for all of them."""

    def __init__(self, put: Callable[[Rectangle, bytes], None]) -> None:
        self._put = put
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="blocks")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> _Writing:
        return self

    def add(self, where: Rectangle, data: bytes) -> None:
        """Raises what putting an earlier block raised."""
        self._waiting.append(self._pool.submit(self._put, where, data))
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for each in self._waiting:
                each.result()
