"""What GDAL's decoders only warn of while pixels are read: data that end early, and are filled."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import ImageError
from pipeline.formats.tiff.segments import ended_early

_ENDS_EARLY = re.compile(
    r"premature|bad code word|uncompressed data|not enough data|too short", re.IGNORECASE
)
"""libjpeg's and libtiff's words for it, as of libtiff 4.7."""
_LOGGER = logging.getLogger("rasterio._err")


class _Listener(logging.Handler):
    """Notes, per thread, a warning of missing data; its text quotes the file and goes no further."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._notes = threading.local()

    def start(self) -> None:
        self._notes.ends_early = False

    @property
    def ends_early(self) -> bool:
        return bool(getattr(self._notes, "ends_early", False))

    def emit(self, record: logging.LogRecord) -> None:
        if _ENDS_EARLY.search(record.getMessage()):
            self._notes.ends_early = True


_LISTENER = _Listener()


def listen() -> None:
    """From now on GDAL's warnings reach the listener, and nothing else."""
    if _LISTENER not in _LOGGER.handlers:
        _LOGGER.addHandler(_LISTENER)
        _LOGGER.propagate = False
        _LOGGER.setLevel(logging.WARNING)


@contextmanager
def whole_data() -> Iterator[None]:
    """Reading pixels in here raises ``ImageError("TRUNCATED")`` where a decoder fails or fills in."""
    _LISTENER.start()
    try:
        yield
    except (MemoryError, ImageError):
        raise
    except Exception:
        raise ended_early() from None
    if _LISTENER.ends_early:
        raise ended_early()
