"""Processes of this program's own that work for it: started alike, and values sent to them and back."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from typing import IO, Any

_LENGTH = struct.Struct("<Q")


def command_of(module: str) -> list[str]:
    """The command that runs ``module`` by itself, in any folder."""
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """This process's, in which another one imports what this one would."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def started(module: str) -> subprocess.Popen[bytes] | None:
    """A process that runs ``module``, with pipes for ``send`` and ``receive``; ``None`` where none starts."""
    try:
        return subprocess.Popen(
            command_of(module), env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None


def streams() -> tuple[IO[bytes], IO[bytes]]:
    """That process's side: where requests come from, and where answers go."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not garble the answers
    return requests, answers


def send(stream: IO[bytes], value: Any) -> None:
    """A value with its length before it."""
    data = pickle.dumps(value, protocol=5)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """The next value; ``EOFError`` where the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)
