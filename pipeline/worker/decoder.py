"""The subprocess's side of ``pipeline.worker.decoding_apart``: objects in, images or ``ImageError`` out.

Run as ``python -m pipeline.worker.decoder``. A decode that takes too long is ended by the kernel's alarm,
which no library that holds Python's lock can put off, and which comes when the parent is long dead too.
"""

from __future__ import annotations

import signal
from typing import Any

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.processing.memory_limit import limit_memory
from pipeline.subprocesses import receive, send, streams


def main() -> None:
    """One answer for each request, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's, which ends this process by closing the pipe
    requests, answers = streams()
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
