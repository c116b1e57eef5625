"""A DICOMweb server in this process, for what Orthanc cannot be brought to do: faults, and many series."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pydicom

from pipeline.doors.dicomweb.multipart import CONTENT_TYPE, message_of, parts_of
from tests.dicomweb_samples import uids_of

Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[str, str], Answer | None]
"""Of a method and a path: what is answered instead."""

_SERIES = re.compile(r"/studies/([^/]+)/series/([^/]+)")


class DicomwebServer:
    """``put(data)``; ``objects``: what is there; ``stored``: UIDs in the order that STOW-RS brought them."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], bytes] = {}
        self.stored: list[str] = []
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.pages = True
        self.url = ""

    def put(self, data: bytes) -> None:
        self.objects[uids_of(data)] = data

    def answer(self, method: str, target: str, kind: str, body: bytes) -> Answer:
        url = urlsplit(target)
        path = url.path.removeprefix("/dicom-web")
        self.requests.append(f"{method} {path}")
        for fault in list(self.faults):
            if (answer := fault(method, path)) is not None:
                return answer
        if method == "POST":
            return self._store(kind, body)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if path.endswith("/metadata"):
            return self._listed([_json(self.objects[each]) for each in self._of(path)], {}, empty=404)
        if "/instances/" in path:
            place = (*_SERIES.search(path).groups(), path.rpartition("/")[2])
            if place not in self.objects:
                return 404, {}, b"{}"
            return 200, {"Content-Type": CONTENT_TYPE}, message_of([self.objects[place]])
        if path.endswith("/instances"):
            return self._listed([_told(each) for each in self._of(path, query)], query)
        series = {place[:2]: data for place, data in self.objects.items() if path.startswith("/series")
                  or place[0] in path}  # fmt: skip
        found = [_told((*place, "")) for place, data in series.items() if _matches(data, query)]
        return self._listed(found, query)

    def _of(self, path: str, query: dict[str, str] = {}) -> list[tuple[str, str, str]]:  # noqa: B006
        found = _SERIES.search(path)
        return [
            place
            for place in sorted(self.objects)
            if (found is None or place[:2] == found.groups())
            and query.get("SOPInstanceUID", place[2]) == place[2]
        ]

    def _listed(self, found: list[dict], query: dict[str, str], empty: int = 204) -> Answer:
        start = int(query.get("offset", 0)) if self.pages else 0
        some = found[start : start + int(query.get("limit", len(found)))]
        if not some:
            return empty, {}, b""
        return 200, {"Content-Type": "application/dicom+json"}, json.dumps(some).encode()

    def _store(self, kind: str, body: bytes) -> Answer:
        """As Orthanc does: what is there already is kept, and counts as taken."""
        taken = []
        for data in parts_of(kind, body):
            place = uids_of(data)
            if place not in self.objects:
                self.objects[place] = data
            self.stored.append(place[2])
            taken.append({"00081155": {"vr": "UI", "Value": [place[2]]}})
        answer = {"00081199": {"vr": "SQ", "Value": taken}}
        return 200, {"Content-Type": "application/dicom+json"}, json.dumps(answer).encode()


def _told(place: tuple[str, str, str]) -> dict:
    tags = ("0020000D", "0020000E", "00080018")
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in zip(tags, place, strict=True) if uid}


def _json(data: bytes) -> dict:
    dataset = pydicom.dcmread(io.BytesIO(data))
    return dataset.to_json_dict(bulk_data_threshold=64, bulk_data_element_handler=lambda _: "http://x/bulk")


def _matches(data: bytes, query: dict[str, str]) -> bool:
    dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    wanted = {name: value for name, value in query.items() if name not in ("limit", "offset")}
    return all(str(dataset.get(name, "")) == value for name, value in wanted.items())


@contextmanager
def running_dicomweb() -> Iterator[DicomwebServer]:
    """The server on a port of loopback."""
    server = DicomwebServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer(b"")

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, sent: bytes) -> None:
            kind = self.headers.get("Content-Type", "")
            status, headers, body = server.answer(self.command, self.path, kind, sent)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.url = f"dicomweb+http://127.0.0.1:{listening.server_port}/dicom-web"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
