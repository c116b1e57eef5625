"""Addresses as they may be written and shown: without passwords, signatures and tokens.

The one redactor: of every message, job, table, row and report. What is not shown is ``***``.
"""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "***"
"""Stands for what was taken out."""

_NAMES = (
    r"(?:[\w.-]|%2D)*(?:signature|credential|token|secret|passw(?:or)?d|passphrase|accesskeyid|access_?key|api_?key|"
    r"accessid)|sig|pwd|key|auth|code"
)
_END = r"(?=[:,.]*(?:[&;#\s\"'<>|]|$))"
_SECRET = re.compile(rf"([?&;])({_NAMES})=(?!\*\*\*{_END})([^&;#\s\"'<>|]+?){_END}", re.IGNORECASE)
"""A value without the punctuation of the sentence behind it; what is redacted already is none."""
_WITH_PORTS = ("http", "https", "ftp", "sftp", "ssh", "webhdfs", "hdfs", "smb")
_SCHEME = r"[a-z][a-z0-9+.-]*"
_USERINFO = re.compile(
    rf"\b((?:{'|'.join(_WITH_PORTS)})://)(?:[^\s/@\"':]*@|[^\s/@\"':]*:(?!\d+/)[^\s@\"']*@)"
    rf"|\b((?!(?:{'|'.join((*_WITH_PORTS, 'file', 'local'))})://){_SCHEME}://)(?!arn:)"
    r"(?:[^\s/@\"':]*@|[^\s/@\"':]*:[^\s@\"']*@)",
    re.IGNORECASE,
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def redacted(text: str) -> str:
    """A text with the secrets of the addresses in it taken out; others stay as they are."""
    return _SECRET.sub(rf"\1\2={HIDDEN}", _USERINFO.sub(rf"\1\2{HIDDEN}@", text))


def redacted_values(value: Any) -> Any:
    """Plain values of JSON with every text in them redacted."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(each) for each in value]
    return value


def credentials_in(url: str) -> str | None:
    """The scheme of the first link of a chain (``simplecache::s3://...``) with a user or a password."""
    for link in url.split("::"):
        scheme, separator, rest = link.partition("://")
        if separator and scheme.lower() not in ("file", "local") and _has_userinfo(scheme.lower(), rest):
            return scheme
    return None


def has_secret(url: str) -> bool:
    """Whether its query holds a signature or a token."""
    return _SECRET.search(url) is not None


def visible(text: str) -> str:
    """A text for a terminal: what would steer it, or turn the line around, is shown as an escape."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def _has_userinfo(scheme: str, rest: str) -> bool:
    """Also with a slash in the secret, as many have: ``s3://KEY:ab/SECRET@bucket``."""
    if "@" not in rest or rest.startswith("arn:"):
        return False
    first = rest.partition("/")[0]
    if "@" in first:
        return True
    _, colon, port = first.partition(":")
    return bool(colon) and not (scheme in _WITH_PORTS and port.isdigit())
