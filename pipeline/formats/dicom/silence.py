"""pydicom, GDCM and the rest held silent: what they find odd they report with values of the header."""

from __future__ import annotations

import importlib
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipeline.errors import ImageError

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

with suppress(ImportError):
    trace = importlib.import_module("gdcm").Trace
    for turn_off in (trace.DebugOff, trace.WarningOff, trace.ErrorOff):
        turn_off()


class _Silence:
    """Warnings ignored while any thread is inside; filters are of the process, and readers are threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


_SILENCE = _Silence()


@contextmanager
def silence() -> Iterator[None]:
    """No warnings of any library as long as one thread is inside."""
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()


@contextmanager
def written_or_refused(reason: str, cannot: str, cure: str) -> Iterator[None]:
    """In silence; what pydicom cannot write is an ``ImageError`` without the values that its errors quote."""
    with silence():
        try:
            yield
        except ImageError:
            raise
        except Exception as error:
            what = f"the DICOM header cannot be written {cannot} ({type(error).__name__} in pydicom)"
            raise ImageError(reason, f"{what}; {cure}") from None
