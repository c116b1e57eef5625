"""An S3 endpoint on loopback that holds one object and misbehaves for its first requests."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

OBJECT = b"these are the bytes of the object"
_LISTING = (
    b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>'
    b"<IsTruncated>false</IsTruncated><Contents><Key>in/a.png</Key><Size>%d</Size><ETag>e</ETag>"
    b"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>" % len(OBJECT)
)


class FaultyServer(ThreadingHTTPServer):
    """Counts requests; the first ``faults`` of them get ``mode``."""

    daemon_threads = True

    def __init__(self, mode: str, faults: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mode, self.faults, self.requests = mode, faults, 0
        self.is_over = threading.Event()

    def handle_error(self, *_) -> None:
        """Connections break off on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def _handle(self) -> None:
        self.server.requests += 1
        self._read_body()
        faulty = self.server.requests <= self.server.faults
        getattr(self, f"_{self.server.mode}" if faulty else "_right")()

    def _read_body(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))

    do_GET = do_HEAD = do_PUT = _handle

    def _right(self) -> None:
        body = _LISTING if "list-type" in self.path else OBJECT
        self._answer(200, b"" if self.command == "PUT" else body)

    def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", '"e"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _busy(self) -> None:
        self._answer(503, b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>no</Message></Error>")

    def _bad_request(self) -> None:
        self._answer(400, b"")

    def _hang(self) -> None:
        self.server.is_over.wait(60)
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _garbage(self) -> None:
        self.connection.sendall(b"\0\1\2 this is no http\r\n\r\n")
        self._reset()

    def _cut(self) -> None:
        self._answer(200, OBJECT[:5], len(OBJECT))
        self.wfile.flush()
        self._reset()

    def _drip(self) -> None:
        self._answer(200, b"", len(OBJECT))
        for byte in OBJECT:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.2)


@contextmanager
def faulty_s3(mode: str, faults: int = 10**9) -> Iterator[FaultyServer]:
    """The endpoint, which the environment leads to; connections to others are not used again."""
    from pipeline.storage.s3 import ExactS3

    server = FaultyServer(mode, faults)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExactS3, "cachable", False)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        try:
            yield server
        finally:
            server.is_over.set()
            server.shutdown()
            server.server_close()
