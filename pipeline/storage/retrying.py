"""The one layer that asks a store again: a budget of time, growing pauses, and words for what the server did.

The clients below are told not to try again by themselves: their retries and ours would multiply, and a
server that takes connections and never answers would be waited for in silence.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import TypeVar

from pipeline.errors import ImageError

T = TypeVar("T")

CONTACT_SECONDS = "RESTORA_CONTACT_SECONDS"
"""Environment variable: how long a store may take until its first answer."""
REQUEST_SECONDS = "RESTORA_REQUEST_SECONDS"
"""Environment variable: how long one object may take after that, tries and pauses together."""
_DEFAULTS = {CONTACT_SECONDS: 60.0, REQUEST_SECONDS: 120.0}
_TRIES_IN_CONTACT = 3
_LONGEST_SILENCE = 20.0
_LONGEST_PAUSE = 15.0
_SLOWEST_BYTES = 50_000
"""Bytes a second below which an object that does come counts as one that does not."""

_LASTING = re.compile(
    r"NoSuch|NotFound|Not Found|\b40[34]\b|Forbidden|AccessDenied|Credential|InvalidAccessKey|Unanswered"
    r"|NotDicomweb|NotImplemented|not implemented|UnsupportedHeader"
)
_PASSING = re.compile(
    r"RequestTimeout|SlowDown|Throttl|IncompleteBody|BadDigest|SHA256Mismatch|TooManyRequests"
)
_PASSING_STATUS = (408, 429)

_DEEDS = (
    (r"ConnectTimeout", "did not take the connection"),
    (r"ConnectionRefused|ClientConnector|gaierror", "cannot be connected to"),
    (r"ReadTimeout|TimeoutError|ServerTimeout", "took the connection and did not answer in time"),
    (r"ResponseParser|BadStatusLine|BadHttp|InvalidHTTP", "gave an answer that such a store does not give"),
    (r"ClientOSError|Reset|Disconnected|BrokenPipe|Incomplete|Payload|Closed", "broke off the connection"),
    (r"EndpointConnection", "cannot be connected to"),
    (r"Connection|Protocol|HTTPClient", "broke off the connection"),
)
"""Names of errors, and what the server did; the first that fits."""


class Unanswered(OSError):  # noqa: N818 - it says it all
    """A store that did not do what it was asked, however often; says what it did instead."""


def seconds_of(variable: str) -> float:
    """A budget: as the environment says, else the default."""
    return float(os.environ.get(variable) or _DEFAULTS[variable])


def silence_seconds() -> float:
    """How long a socket may be silent: the budget of the first contact holds three tries."""
    return min(_LONGEST_SILENCE, seconds_of(CONTACT_SECONDS) / _TRIES_IN_CONTACT)


def transfer_seconds(size: int) -> float:
    """How long so many bytes may take once they come."""
    return seconds_of(REQUEST_SECONDS) + size / _SLOWEST_BYTES


def retried(call: Callable[[], T], attempts: int | None = None, seconds: float | None = None) -> T:
    """Tries again after faults that may pass, until the time is up; not after those that cannot.

    What lasts (absent, forbidden, a request that is wrong) is raised as it is. ``Unanswered`` where the
    time is up, or the ``attempts`` are.
    """
    budget = seconds_of(REQUEST_SECONDS) if seconds is None else seconds
    begun, tries = monotonic(), 0
    while True:
        try:
            return call()
        except Exception as error:
            if is_lasting(error):
                raise
            tries += 1
            pause = min(_LONGEST_PAUSE, 0.2 * 4.0 ** min(tries - 1, 9)) * random.uniform(0.5, 1.0)
            pause = max(pause, getattr(error, "retry_after", 0.0))  # as the server asked
            passed = monotonic() - begun
            if tries == attempts or passed + pause >= budget:
                raise _unanswered(error, tries, passed) from error
            sleep(pause)


def is_lasting(error: BaseException) -> bool:
    """Whether the same request would fail in the same way."""
    known = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
    if isinstance(error, ImageError):
        return error.reason != "READ_FAILED"
    text = f"{type(error).__name__} {error}"
    if isinstance(error, known) or _LASTING.search(text):
        return True
    status = _status(error)
    return 400 <= status < 500 and status not in _PASSING_STATUS and not _PASSING.search(text)


def _unanswered(error: Exception, tries: int, passed: float) -> Unanswered:
    times = "1 try" if tries == 1 else f"{tries} tries"
    return Unanswered(f"the server {_deed(error)}; {times} in {passed:.0f} s ({type(error).__name__})")


def _deed(error: BaseException) -> str:
    if status := _status(error):
        return f"answered {status} {_code(error)}".rstrip()
    names = " ".join(type(each).__name__ for each in _chain(error))
    known = (deed for pattern, deed in _DEEDS if re.search(pattern, names))
    return next(
        known, f"failed: {str(error).strip().splitlines()[0][:120]}" if str(error).strip() else "failed"
    )


def _status(error: BaseException) -> int:
    """The HTTP status that the server gave; 0 where it gave none."""
    for each in _chain(error):
        response, status = getattr(each, "response", None), getattr(each, "http_status", None)
        if isinstance(status, int):
            return status
        if isinstance(response, dict):
            return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return 0


def _code(error: BaseException) -> str:
    found = (getattr(each, "response", None) for each in _chain(error))
    codes = (each.get("Error", {}).get("Code", "") for each in found if isinstance(each, dict))
    return next((str(code) for code in codes if not str(code).isdigit()), "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
