"""``multipart/related`` with whole DICOM objects, byte for byte (PS3.18, section 8.6.1.2).

The client of QIDO-RS would decode and write objects anew, and takes half a message for a whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message

_BOUNDARY = "0f3cf5c0-70e0-41ef-baef-restora"
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary="{_BOUNDARY}"'
"""Of what ``message_of`` makes."""


class BrokenMessage(ConnectionError):  # noqa: N818 - it says it all
    """A message that ends early, or is none."""


def message_of(parts: Sequence[bytes]) -> bytes:
    """The body that holds these objects."""
    head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return b"".join([*(head + part + b"\r\n" for part in parts), f"--{_BOUNDARY}--\r\n".encode()])


def parts_of(content_type: str, body: bytes) -> list[bytes]:
    """The objects in a body. ``BrokenMessage`` where its end is missing, or a part is shorter than it says.

    Some servers send one object alone as ``application/dicom``.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        return [body]
    boundary = header.get_param("boundary")
    if header.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        raise BrokenMessage("no multipart message")
    marker = b"\r\n--" + boundary.encode()
    _, *pieces = (b"\r\n" + body).split(marker)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise BrokenMessage("the message ends early")
    return [_content(piece) for piece in pieces[:-1]]


def _content(piece: bytes) -> bytes:
    head, gap, content = piece.partition(b"\r\n\r\n")
    if not gap:
        raise BrokenMessage("a part without a header")
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length" and value.strip().isdigit() and int(value) != len(content):
            raise BrokenMessage(f"{len(content)} of {int(value)} bytes came")
    return content
