"""A JSON object whose ``features`` may be more than memory holds: read one by one, everything else kept."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

FEATURES = "features"
_BLOCK = 1 << 18
"""Bytes read at a time."""
_SPACE = " \t\n\r"


def read_object(file: IO[bytes], fields: dict[str, Any]) -> Iterator[Any]:
    """The elements of the array ``features`` as they come; ``fields`` gets all other members.

    ``ValueError`` for what is no JSON object, or ends too early.
    """
    text = _Text(file)
    text.take("{")
    if text.next() == "}":
        return
    while True:
        name = text.value()
        text.take(":")
        if name == FEATURES and text.next() == "[":
            yield from _elements(text)
        else:
            fields[str(name)] = text.value()
        if text.next() != ",":
            text.take("}")
            return
        text.take(",")


def _elements(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.next() == "]":
        text.take("]")
        return
    while True:
        yield text.value()
        if text.next() != ",":
            text.take("]")
            return
        text.take(",")


class _Text:
    """Characters of a file, as far as they are needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._ended = file, False
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._scan = json.JSONDecoder().raw_decode
        self._buffer, self._at = "", 0

    def next(self) -> str:
        """The next character that is no space, which stays; empty at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._buffer) or self._ended:
                return self._buffer[self._at : self._at + 1]
            self._refill()

    def take(self, character: str) -> None:
        """This one, or ``ValueError``."""
        if self.next() != character:
            raise ValueError(f"no JSON object, or one that ends too early: no {character!r} where it belongs")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.next()
        while True:
            try:
                value, end = self._scan(self._buffer, self._at)
            except ValueError:
                if self._ended:
                    raise ValueError("no JSON, or it ends too early") from None
            else:
                if end < len(self._buffer) or self._ended:  # else a number may go on
                    self._at = end
                    return value
            self._refill()

    def _refill(self) -> None:
        rest = self._buffer[self._at :]
        data = self._file.read(max(_BLOCK, len(rest)))  # doubles, so that a long value is not parsed often
        self._ended = not data
        self._buffer, self._at = rest + self._decode(data, final=not data), 0
