"""Derived series, stored on a DICOMweb server before their unit is committed.

A derived image is called by its SOP Instance UID, which follows from its source and the recipe: what an
attempt that was killed left on the server is found there again, and is not stored twice.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pydicom

from pipeline.doors.dicomweb.server import Server
from pipeline.doors.outlet import Locate, Results, Row
from pipeline.doors.staging import Staging
from pipeline.errors import ImageError
from pipeline.hashing import sha256_hex
from pipeline.storage.noting import Written
from pipeline.units import Source

MESSAGE_BYTES = 64 << 20
"""Of the objects that one message hands over, unless one alone is larger."""
_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


@dataclass(frozen=True)
class _Made:
    """A derived image that waits."""

    source: Source
    path: Path
    study: str
    series: str
    instance: str


class DicomwebOutlet(Staging):
    """Keeps a unit's results on this machine's disk until ``finish`` hands them to the server."""

    def __init__(self, url: str, server: Server) -> None:
        super().__init__("series")
        self._url, self._server = url, server

    def key(self, source: Source, key: str) -> str:
        """As it is; the server has names of its own."""
        return key

    def stored_at(self, key: str) -> str:
        """Itself."""
        return key

    def companion(self, key: str) -> str | None:
        """An instance says it all."""
        return None

    def put(self, source: Source, key: str, data: bytes | Path) -> str:
        """A file that waits. ``ImageError`` for what is no DICOM object."""
        content = data if isinstance(data, bytes) else data.read_bytes()
        if content[128:132] != b"DICM":
            raise ImageError("UNENCODABLE", "a DICOMweb server takes DICOM alone; leave output_store out")
        self.waiting(source).write_bytes(content)
        return f"{self._url}/instances/{_uids(io.BytesIO(content))[2]}"

    def remove(self, source: Source, key: str) -> None:
        """What waits; a server's objects are nobody's to remove but its own."""
        self.waiting(source).unlink(missing_ok=True)

    def finish(
        self, sources: Sequence[Source], rows: Sequence[Row], locate: Locate
    ) -> Mapping[str, Exception | Row]:
        """Stores what the server has not; a series of which one image fails has failed."""
        done = {row["source_id"] for row in rows if row["status"] == "ok"}
        made = [self._made(each) for each in sources if each.source_id in done]
        told: dict[str, Exception | Row] = {}
        for some in _messages(made):
            try:
                told |= self._stored(some)
            except Exception as error:
                told |= dict.fromkeys((each.source.source_id for each in some), error)
        for each in sources:
            self.waiting(each).unlink(missing_ok=True)
        return _of_whole_groups(told, sources)

    def conclude(self, rows: Iterable[Row], written: Written) -> None:
        """The server says what it has."""

    def results(self) -> Results:
        """By their SOP Instance UIDs."""
        return DicomwebResults(self._server)

    def _made(self, source: Source) -> _Made:
        return _Made(source, self.waiting(source), *_uids(self.waiting(source)))

    def _stored(self, made: list[_Made]) -> dict[str, Exception | Row]:
        """What is to be said of the images of one message, by source."""
        there = self._there(made)
        told: dict[str, Exception | Row | None] = {}
        told |= {each.instance: self._as_kept(each) for each in made if each.instance in there}
        new = [each for each in made if told.get(each.instance) is None]
        answer = self._server.store([each.path.read_bytes() for each in new]) if new else {}
        kept = self._there(new) if answer is None else {uid for uid, fault in answer.items() if not fault}
        for each in new:
            if each.instance not in kept:
                said = (answer or {}).get(each.instance) or "it says no more"
                told[each.instance] = OSError(f"the server did not keep the object: {said}")
            elif each.instance in there:
                told[each.instance] = self._as_kept(each) or FileExistsError(
                    "the server keeps another object of this UID, of other pixels or attributes; remove the "
                    "derived series there and run restora retry"
                )
        return {each.source.source_id: found for each in made if (found := told.get(each.instance))}

    def _there(self, made: list[_Made]) -> set[str]:
        places = dict.fromkeys((each.study, each.series) for each in made)
        return {uid for study, series in places for uid in self._server.instances(study, series)}

    def _as_kept(self, made: _Made) -> Row | None:
        """The columns of an image that an earlier attempt stored; ``None`` where another one is there."""
        data = self._server.read(made.study, made.series, made.instance)
        if not _is_same(data, made.path.read_bytes()):
            return None
        return {"output_sha256": sha256_hex(data), "output_bytes": len(data)}


class DicomwebResults:
    """Reads what was stored by the addresses that rows have."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def read(self, key: str) -> bytes:
        """Two requests. ``FileNotFoundError`` where the server has no such image."""
        if (place := self._server.find(_instance(key))) is None:
            raise FileNotFoundError(key)
        return self._server.read(*place)

    def open(self, key: str) -> IO[bytes]:
        """In memory."""
        return io.BytesIO(self.read(key))

    def exists(self, key: str) -> bool:
        """One request."""
        return self._server.find(_instance(key)) is not None


def _instance(address: str) -> str:
    return address.rpartition("/")[2]


def _uids(file: IO[bytes] | Path) -> tuple[str, str, str]:
    """Study, series and instance."""
    dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_UIDS))
    study, series, instance = (str(dataset.get(keyword, "")) for keyword in _UIDS)
    return study, series, instance


def _is_same(one: bytes, other: bytes) -> bool:
    """Whether two objects differ in no more than which version of this program wrote them."""
    if one == other:
        return True
    first, second = (pydicom.dcmread(io.BytesIO(each)) for each in (one, other))
    for each in (first, second):
        for equipment in each.get("ContributingEquipmentSequence") or ():
            equipment.SoftwareVersions = ""
    return bool(first == second)


def _messages(made: list[_Made]) -> Iterator[list[_Made]]:
    some: list[_Made] = []
    size = 0
    for each in sorted(made, key=lambda each: (each.study, each.series, each.instance)):
        more = each.path.stat().st_size
        if some and size + more > MESSAGE_BYTES:
            yield some
            some, size = [], 0
        some.append(each)
        size += more
    if some:
        yield some


def _of_whole_groups(
    told: dict[str, Exception | Row], sources: Sequence[Source]
) -> Mapping[str, Exception | Row]:
    """A series is restored whole or not at all; what was stored of it stays, and is found by a retry."""
    failed = {
        each.group: fault
        for each in sources
        if each.group and isinstance(fault := told.get(each.source_id), Exception)
    }
    return told | {each.source_id: failed[each.group] for each in sources if each.group in failed}
