"""Ctrl-C and SIGTERM: the first is asked for politely, the second kills, whatever hangs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.errors import RunStopped

POLITE = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a polite kill.

    A ``KeyboardInterrupt``, because that is what libraries let through where they catch everything else: of
    any other name it would be put down to the image that was being decoded.
    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.message = message

    @property
    def exit_code(self) -> int:
        """What shells and schedulers know a process by that ended at such a signal."""
        return 128 + self.number


def interrupt(number: int) -> None:
    """Raises ``Interrupted``: to be given to ``on_first_signal``."""
    raise Interrupted(number)


@contextmanager
def on_first_signal(react: Callable[[int], None]) -> Iterator[list[int]]:
    """Calls ``react`` at the first Ctrl-C or SIGTERM inside; restores the handlers of before at the end.

    Yields a list that holds the signal's number from then on: a library can turn what ``react`` raises into
    an error of its own. Outside the main thread, which alone may have handlers, it does nothing.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in POLITE}

    def handle(number: int, _: object) -> None:
        for each in POLITE:
            signal.signal(each, signal.SIG_DFL)
        received.append(number)
        react(number)

    try:
        for number in POLITE:
            signal.signal(number, handle)
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """For work that asks now and then whether it is to stop, and raises ``RunStopped`` if so: no failure."""
    with on_first_signal(lambda number: None) as received:
        try:
            yield lambda: bool(received)
        except RunStopped as stopped:
            if received:
                raise Interrupted(received[0], str(stopped)) from None
            raise
