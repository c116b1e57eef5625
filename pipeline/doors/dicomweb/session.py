"""One server over HTTP: with credentials, few requests at a time, tried again within the budget of stores.

What is raised tells neither addresses nor what the server wrote: both hold names of patients.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic, time
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from pipeline.doors.dicomweb.multipart import BrokenMessage
from pipeline.doors.dicomweb.profiles import Profile
from pipeline.storage.retrying import (
    CONTACT_SECONDS,
    REQUEST_SECONDS,
    is_lasting,
    seconds_of,
    silence_seconds,
    transfer_seconds,
)
from pipeline.storage.server import Server

T = TypeVar("T")

CONNECTIONS = 8
"""Requests at a time: archives of hospitals serve people besides."""
_PIECE = 1 << 16

# Its messages hold UIDs, and those of errors what the server wrote; what matters is raised.
logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)


class ServerError(OSError):
    """The server answered, but not with what it was asked for."""

    def __init__(self, status: int, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.http_status, self.retry_after = status, retry_after


class NotDicomweb(OSError):  # noqa: N818 - it says it all
    """What is at the address is no DICOMweb server, or none to be trusted: it is not asked again."""


_BROKEN_OFF = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class _Bearer(AuthBase):
    """Set as an authentication, so that no netrc file replaces it, and redirections to others drop it."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._profile.bearer()}"
        return request


class Session:
    """``tried(request)``: what a request gives, asked again where that may help."""

    def __init__(self, profile: Profile) -> None:
        self.http = requests.Session()
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=CONNECTIONS, max_retries=0)
        for scheme in ("http://", "https://"):
            self.http.mount(scheme, adapter)
        if profile.user is not None:
            self.http.auth = HTTPBasicAuth(profile.user.encode(), (profile.password or "").encode())
        elif profile.token is not None or profile.token_file is not None:
            self.http.auth = _Bearer(profile)
        if profile.ca is not None:
            self.http.verify = profile.ca
        self.http.cert = profile.certificate
        self._turns = threading.Semaphore(CONNECTIONS)
        self._has_answered = False
        self._server = Server()

    @property
    def timeouts(self) -> tuple[float, float]:
        """Until a connection stands, and until the next byte, in seconds."""
        silence = silence_seconds()
        return min(5.0, silence), silence

    def tried(self, request: Callable[[], T]) -> T:
        """``FileNotFoundError`` for what is not there; else what ``retried`` raises."""
        budget = seconds_of(REQUEST_SECONDS if self._has_answered else CONTACT_SECONDS)
        try:
            result = self._server.tried(lambda: self._once(request), budget)
        except Exception as error:
            self._has_answered |= is_lasting(error)
            raise
        self._has_answered = True
        return result

    def get(self, url: str, accept: str) -> tuple[str, bytes]:
        """Content type and body; to be called in ``tried``."""
        with self.http.get(
            url, headers={"Accept": accept}, stream=True, timeout=self.timeouts, allow_redirects=True
        ) as response:
            response.raise_for_status()
            return response.headers.get("Content-Type", ""), _body(response)

    def _once(self, request: Callable[[], T]) -> T:
        with self._turns:
            try:
                return request()
            except requests.HTTPError as error:
                raise refusal(error.response) from None
            except BrokenMessage:
                raise
            except requests.exceptions.SSLError:
                raise NotDicomweb("the server's certificate is not trusted; name ca in the profile") from None
            except _BROKEN_OFF as error:
                raise ConnectionError(type(error).__name__) from None
            except (requests.RequestException, ValueError) as error:  # no address, no JSON, no multipart
                raise NotDicomweb(f"no answer of a DICOMweb server ({type(error).__name__})") from None


def refusal(response: requests.Response | None) -> Exception:
    """What an answer other than success means."""
    if response is None:
        return ConnectionError("HTTPError")
    status = response.status_code
    if status in (404, 410):
        return FileNotFoundError("the server has no such object")
    cure = "; check the profile" if status in (401, 403) else ""
    reason = next((each.phrase for each in HTTPStatus if each == status), "")
    return ServerError(
        status, f"the server answered {status} {reason}".rstrip() + cure, _wait(response.headers)
    )


def _wait(headers: Any) -> float:
    """Seconds of ``Retry-After``, which is a number or a date; 0 without."""
    value = str(headers.get("Retry-After", "")).strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except ValueError:
        return 0.0


def _body(response: requests.Response) -> bytes:
    """All of it, unless it drips."""
    begun, pieces, size = monotonic(), list[bytes](), 0
    for piece in response.iter_content(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if monotonic() - begun > transfer_seconds(size):
            raise requests.ConnectionError
    return b"".join(pieces)
