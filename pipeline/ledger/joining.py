"""Files of units, read and joined to tables: in processes of their own, where there are many.

To read a Parquet file of 32 rows is mostly work of Python, which threads of one process take turns at. A
process gets files' content and hands back rows; it opens no store. Where it cannot, this one reads them.

Run as ``python -m pipeline.ledger.joining``: the side of such a process.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.errors import StorageError
from pipeline.ledger.fetching import File, parts_ahead
from pipeline.ledger.ledger import Ledger, unit_of
from pipeline.subprocesses import receive, send, started, streams

TOGETHER = 128
"""Files that are joined: the same ones whoever reads them, so that a segment has the same bytes."""
FEW = 2000
"""Files that are read before a process has started."""
MOST_PROCESSES = 8

Content = list[tuple[str, bytes]]
"""Keys and contents of files."""


class Joined(NamedTuple):
    """Rows of units, one after the other, under the columns of today."""

    units: list[str]
    lengths: list[int]
    """Rows of each."""
    table: pa.Table


Join = Callable[[list[File]], Joined]


def joined_units(ledger: Ledger, files: Iterable[File], count: int) -> Iterator[Joined]:
    """The rows of files of units, in their order; ``count``: how many there are.

    ``StorageError`` where one is damaged, or is not there any more.
    """
    cores = os.cpu_count() or 1
    processes = min(cores, MOST_PROCESSES, count // FEW)
    with ExitStack() as stack:
        join: Join = partial(_join_here, ledger)
        if processes > 1:
            join = stack.enter_context(_Processes(ledger, processes)).join
        yield from parts_ahead(join, files, max(processes, cores), TOGETHER)


def _join_here(ledger: Ledger, files: list[File]) -> Joined:
    return join_files(ledger, _content(ledger, files))


def _content(ledger: Ledger, files: list[File]) -> Content:
    found: Content = []
    for key, data in files:
        if data is None:
            uri = ledger.folder.uri(key)
            raise StorageError(f"{uri}: was deleted while it was sealed; run the job again")
        found.append((key, data))
    return found


def join_files(ledger: Ledger, files: Content) -> Joined:
    """The rows of files by their contents; what a file left out is null. ``StorageError``: one is damaged."""
    tables = [ledger.checked(key, data) for key, data in files]
    whole = ledger.conformed(pa.concat_tables(tables, promote_options="default").combine_chunks())
    return Joined([unit_of(key) for key, _ in files], list(map(len, tables)), whole)


class _Processes:
    """Processes that join files, for as long as the block lasts."""

    def __init__(self, ledger: Ledger, count: int) -> None:
        self._ledger = ledger
        self._all: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for _ in range(count):
            self._idle.put(self._started())

    def _started(self) -> subprocess.Popen[bytes] | None:
        """``None`` where no process starts: this one reads in its place."""
        process = started("pipeline.ledger.joining")
        if process is None:
            return None
        self._all.append(process)
        ledger = self._ledger
        return process if _sent(process, (ledger.folder, ledger.prefix, ledger.schema)) else None

    def __enter__(self) -> _Processes:
        return self

    def join(self, files: list[File]) -> Joined:
        """As ``join_files``, in the next process that is idle."""
        content = _content(self._ledger, files)
        process = self._idle.get()
        answer = _answer(process, content) if process is not None else None
        self._idle.put(process if answer is not None else None)  # one that has failed is asked no more
        if answer is None:
            return join_files(self._ledger, content)  # which says what is damaged
        lengths, rows = answer
        return Joined([unit_of(key) for key, _ in content], lengths, pa.ipc.open_stream(rows).read_all())

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.kill()  # whatever it reads now, nobody waits for any more
            process.communicate()


def _sent(process: subprocess.Popen[bytes], value: Any) -> bool:
    assert process.stdin is not None
    try:
        send(process.stdin, value)
    except OSError:  # it has ended
        return False
    return True


def _answer(process: subprocess.Popen[bytes], content: Content) -> tuple[list[int], bytes] | None:
    """Lengths of the units, and rows as an Arrow stream; ``None`` where the process has none to give."""
    assert process.stdout is not None
    if not _sent(process, content):
        return None
    try:
        found: tuple[list[int], bytes] | None = receive(process.stdout)
    except (EOFError, OSError):
        return None
    return found


def main() -> None:
    """The process's side: lists of files until there are none, and for each the rows or ``None``."""
    requests, answers = streams()
    pa.set_cpu_count(1)
    ledger = Ledger(*receive(requests))
    while True:
        try:
            content: Content = receive(requests)
        except EOFError:
            return
        send(answers, _rows_of(ledger, content))


def _rows_of(ledger: Ledger, content: Content) -> tuple[list[int], bytes] | None:
    try:
        found = join_files(ledger, content)
    except StorageError:
        return None
    rows = io.BytesIO()
    with pa.ipc.new_stream(rows, found.table.schema) as stream:
        stream.write_table(found.table)
    return found.lengths, rows.getvalue()


if __name__ == "__main__":
    main()
