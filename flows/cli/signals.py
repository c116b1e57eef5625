"""Ctrl-C and SIGTERM: the first is asked for politely, the second kills, whatever hangs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLITE = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_first_signal(react: Callable[[], None]) -> Iterator[None]:
    """Calls ``react`` at the first Ctrl-C or SIGTERM inside; restores the handlers of before at the end.

    Outside the main thread, which alone may have handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in POLITE}

    def handle(*_: object) -> None:
        for number in POLITE:
            signal.signal(number, signal.SIG_DFL)
        react()

    try:
        for number in POLITE:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
