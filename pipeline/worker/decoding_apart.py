"""Decodes with libraries that may abort in a process of their own, so that they take nothing with them.

GDCM ends its process on some damaged frames, and no exception is raised that anybody could catch.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import weakref

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.imaging.image import Image
from pipeline.subprocesses import receive, send, started

Child = subprocess.Popen[bytes]


class DecodersApart:
    """``decode(data, limits)`` on any thread: a process for each that is inside, kept for the next one.

    ``seconds``: how long one image may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock, self._idle = threading.Lock(), list[Child]()
        self._ended = weakref.finalize(self, _end_all, self._idle)

    def __reduce__(self) -> tuple[type[DecodersApart], tuple[float]]:
        return type(self), (self._seconds,)

    def decode(self, data: bytes, limits: Limits) -> Image:
        """The image. ``ImageError`` as decoding raises, ``CRASHED`` and ``TIMED_OUT``.

        Where no process can be started, it is decoded here as all others are.
        """
        with self._lock:
            child = self._idle.pop() if self._idle else None
        child = child or _started()
        if child is None:
            return decode(data, limits)
        answer = self._asked(child, data, limits)
        try:
            if isinstance(answer, ImageError):
                raise answer
            return answer
        finally:
            del answer  # its traceback would hold this frame, and both of them the processes

    def _asked(self, child: Child, data: bytes, limits: Limits) -> Image | ImageError:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            send(child.stdin, (data, limits, self._seconds))
            answer: Image | ImageError = receive(child.stdout)
        except (EOFError, BrokenPipeError):
            return self._death(child)
        except BaseException:  # an interrupt between request and answer
            _end(child)
            raise
        with self._lock:
            self._idle.append(child)
        return answer

    def _death(self, child: Child) -> ImageError:
        code = _end(child)
        if code == -signal.SIGALRM:
            return ImageError("TIMED_OUT", f"not decoded after {self._seconds:g} s (limits.decode_seconds)")
        name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return ImageError("CRASHED", f"the decoder ended its process by {name}")


def _started() -> Child | None:
    child = started("pipeline.worker.decoder")
    if child is None:
        return None
    assert child.stdout is not None
    try:
        receive(child.stdout)
    except EOFError:
        _end(child)
        return None
    return child


def _end(child: Child) -> int:
    for pipe in (child.stdin, child.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except BrokenPipeError:  # what was still to be written goes nowhere
            continue
    return child.wait()


def _end_all(children: list[Child]) -> None:
    while children:
        _end(children.pop())
