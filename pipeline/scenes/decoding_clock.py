"""What decoding a strip of a scene may take: seconds of a core, on a busy host too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import thread_time

from pipeline.errors import ImageError


@dataclass
class DecodingClock:
    """``with clock.running():`` around decoding; ``most`` seconds are allowed in all."""

    most: float
    spent: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """``ImageError("TIMED_OUT")`` after it, where the time is up: no library can be stopped inside."""
        begun = thread_time()
        yield
        self.spent += thread_time() - begun
        if self.spent > self.most:
            told = f"a strip was not decoded after {self.most:g} s of a core (limits.decode_seconds)"
            raise ImageError("TIMED_OUT", told)
