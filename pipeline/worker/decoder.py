"""The subprocess's side of ``pipeline.worker.decoding_apart``: objects in, images or ``ImageError`` out.

Run as ``python -m pipeline.worker.decoder``. A decode that takes too long is ended by the kernel's alarm,
which no library that holds Python's lock can put off, and which comes when the parent is long dead too.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
from typing import IO, Any

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.processing.memory_limit import limit_memory

_LENGTH = struct.Struct("<Q")


def send(stream: IO[bytes], value: Any) -> None:
    """A value with its length before it."""
    data = pickle.dumps(value, protocol=5)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next value; ``EOFError`` where the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """One answer for each request, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, which ends this process by closing the pipe
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a codec that prints must not garble the answers
    limit_memory()
    send(answers, None)
    while True:
        try:
            data, limits, seconds = receive(requests)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = _decoded(data, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        send(answers, answer)


def _decoded(data: bytes, limits: Any) -> Any:
    try:
        return decode(data, limits)
    except ImageError as error:
        return error
    except MemoryError:
        return ImageError("OUT_OF_MEMORY", "no memory to decode this file")
    except Exception as error:
        return ImageError("INTERNAL", f"{type(error).__name__} while decoding")


if __name__ == "__main__":
    main()
