"""What a DICOMweb server is asked: series by QIDO-RS, images by WADO-RS, to keep results by STOW-RS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from dicomweb_client import DICOMwebClient

from pipeline.doors.dicomweb.multipart import CONTENT_TYPE, BrokenMessage, message_of, parts_of
from pipeline.doors.dicomweb.profiles import read_profile
from pipeline.doors.dicomweb.session import Session, refusal
from pipeline.errors import StorageError

PAGE = 500
"""Series that one request lists."""
_OBJECT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
_FAILED, _STORED, _REFERENCED, _REASON = "00081198", "00081199", "00081155", "00081197"

Attributes = dict[str, dict[str, Any]]
"""An object in the DICOM JSON model: tag -> value representation and values."""


def value_of(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value as a text; empty where there is none."""
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0])


class Server:
    """A server at an ``http(s)://`` address. Connects on first use; cheap to make."""

    def __init__(self, url: str, profile: str | None) -> None:
        self.url, self._profile = url, profile

    @cached_property
    def _session(self) -> Session:
        return Session(read_profile(self._profile))

    @cached_property
    def _client(self) -> DICOMwebClient:
        client = DICOMwebClient(self.url, session=self._session.http, timeout=self._session.timeouts)
        client.set_http_retry_params(retry=False)  # theirs and ours would multiply
        return client

    def series(self, study: str | None, matching: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Study and series UID of every series that fits, each once."""
        seen: set[int] = set()
        offset = 0
        while page := self._page(study, matching, offset):
            found = [(value_of(each, STUDY) or study or "", value_of(each, SERIES)) for each in page]
            new = [each for each in found if hash(each) not in seen]
            if not new and len(page) >= PAGE:
                raise StorageError("the server lists its series in pages, and gives the same one again")
            if not new:
                return  # it gave all at once, and knows no pages
            seen.update(map(hash, new))
            yield from new
            offset += len(page)

    def _page(self, study: str | None, matching: Mapping[str, str], offset: int) -> list[Attributes]:
        found: list[Attributes] = self._session.tried(
            lambda: self._client.search_for_series(
                study_instance_uid=study, limit=PAGE, offset=offset, search_filters=dict(matching)
            )
        )
        return found

    def metadata(self, study: str, series: str) -> list[Attributes]:
        """All attributes of every image of a series but what is bulky."""
        found: list[Attributes] = self._session.tried(
            lambda: self._client.retrieve_series_metadata(study, series)
        )
        return found

    def instances(self, study: str, series: str) -> set[str]:
        """SOP Instance UIDs of a series; empty where there is none."""
        found: set[str] = set()
        while page := self._instances(study, series, len(found)):
            new = {value_of(each, INSTANCE) for each in page} - found
            if not new:
                break
            found |= new
        return found

    def _instances(self, study: str, series: str, offset: int) -> list[Attributes]:
        try:
            found: list[Attributes] = self._session.tried(
                lambda: self._client.search_for_instances(study, series, limit=PAGE, offset=offset)
            )
        except FileNotFoundError:  # as some say of a series that is not there
            return []
        return found

    def find(self, instance: str) -> tuple[str, str, str] | None:
        """Study, series and instance UID of an image by its own alone."""
        found: list[Attributes] = self._session.tried(
            lambda: self._client.search_for_instances(search_filters={"SOPInstanceUID": instance}, limit=1)
        )
        return (value_of(found[0], STUDY), value_of(found[0], SERIES), instance) if found else None

    def read(self, study: str, series: str, instance: str) -> bytes:
        """An image as it was stored, in whatever transfer syntax. ``FileNotFoundError`` where it is gone."""
        url = f"{self.url}/studies/{study}/series/{series}/instances/{instance}"

        def retrieve() -> bytes:
            parts = parts_of(*self._session.get(url, _OBJECT))
            if len(parts) != 1:
                raise BrokenMessage(f"{len(parts)} objects came, not one")
            return parts[0]

        return self._session.tried(retrieve)

    def store(self, objects: Sequence[bytes]) -> dict[str, str] | None:
        """Hands over objects: SOP Instance UID -> why it was not kept, empty where it was.

        ``None`` where the server took the message and did not say what became of each.
        """
        body = message_of(objects)
        headers = {"Content-Type": CONTENT_TYPE, "Accept": _JSON}

        def post() -> dict[str, str] | None:
            response = self._session.http.post(
                f"{self.url}/studies", data=body, headers=headers, timeout=self._session.timeouts
            )
            if not response.ok and response.status_code != 409:  # 409: it says for each why not
                raise refusal(response)
            return _answer(response.json()) if "json" in response.headers.get("Content-Type", "") else None

        return self._session.tried(post)


def _answer(found: Any) -> dict[str, str]:
    attributes = found[0] if isinstance(found, list) else found
    told = {value_of(each, _REFERENCED): "" for each in _items(attributes, _STORED)}
    return told | {
        value_of(each, _REFERENCED): f"failure reason {value_of(each, _REASON)} (PS3.18, table I.2-2)"
        for each in _items(attributes, _FAILED)
    }


def _items(attributes: Attributes, tag: str) -> list[Attributes]:
    return list(attributes.get(tag, {}).get("Value") or ())
