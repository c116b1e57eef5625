"""One run at a time in one output: a lease that its holder keeps alive and the dead lose.

The run folder holds ``lease/<number>.json``; the highest number counts. A run takes the next number by a
create-only PUT (``If-None-Match`` on S3, ``link`` on a disk), so that of two at one moment one succeeds, and
rewrites its file every few seconds. A holder is dead where its process is gone from this machine, or where
its file does not change for a minute of our own clock: no clock of another host or store is believed.

A store without create-only PUTs gets a weaker promise: what was written is read back, and whoever does not
find its own token gives way; two runs that start within that moment may both go on.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from pipeline.errors import RunStopped
from pipeline.storage.folder import Folder

LEASE = "lease"
SECONDS_BETWEEN_BEATS = 10.0
SECONDS_WITHOUT_BEAT = 60.0
"""A holder elsewhere whose file does not change for so long is dead."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease."""

    token: str
    host: str
    machine: str
    """Identity of the running system and its process table; empty where it is not known."""
    pid: int
    process_started: str
    """Tells a process from a later one with the same number."""
    since: str
    beat: int = 0

    @classmethod
    def here(cls) -> Holder:
        """This process."""
        since = time.strftime("%Y-%m-%d %H:%M:%S %z")
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), _machine(), pid, _process_started(pid), since)

    @property
    def is_gone(self) -> bool:
        """Whether its process ended on this machine; false where that cannot be seen from here."""
        if not self.machine or self.machine != _machine():
            return False
        return _process_started(self.pid) != self.process_started

    @property
    def is_near(self) -> bool:
        """Whether its process table is ours."""
        return bool(self.machine) and self.machine == _machine()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """A lease that this process holds, kept alive by a thread of its own."""

    def __init__(self, folder: Folder, number: int, holder: Holder, killed_at: float | None) -> None:
        self._folder, self._number, self._holder = folder, number, holder
        self.killed_at = killed_at
        """When the run before gave its last sign of life, by the clock of the store; ``None`` where it ended
        by itself, or the store does not tell."""
        self._ended = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._keep_alive, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """``RunStopped`` where another run took the output over, because this one seemed dead."""
        if self._lost:
            raise RunStopped(
                f"{self._folder.url}: another run took this output over while this one did not answer; "
                "what is committed stays"
            )

    def release(self) -> None:
        """Ends the lease; doing it twice does no harm."""
        self._ended.set()
        self._thread.join()
        if not self._lost and _is_mine(self._folder, self._number, self._holder):
            self._folder.delete(_key(self._number))

    @property
    def _is_overtaken(self) -> bool:
        if max(_numbers(self._folder), default=0) > self._number:
            return True
        return not _is_mine(self._folder, self._number, self._holder)

    def _keep_alive(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_BEATS):
            try:
                if self._is_overtaken:
                    self._lost = True
                    return
                self._holder = replace(self._holder, beat=self._holder.beat + 1)
                self._folder.put(_key(self._number), _encoded(self._holder))
            except Exception:  # the store may be back for the next beat
                continue


@contextmanager
def held(folder: Folder) -> Iterator[Lease]:
    """The lease on a run folder, for as long as the block lasts. ``RunStopped`` where another run has it."""
    lease = take(folder)
    try:
        yield lease
    finally:
        lease.release()


def take(folder: Folder, patience: float = SECONDS_WITHOUT_BEAT) -> Lease:
    """Takes the lease. Waits at most ``patience`` seconds to see whether a holder elsewhere is alive."""
    while True:
        numbers = _numbers(folder)
        newest = max(numbers, default=0)
        if newest and (holder := _alive(folder, newest, patience)) is not None:
            raise _refusal(folder, holder)
        mine = Holder.here()
        if not folder.create(_key(newest + 1), _encoded(mine)):
            continue  # another run was faster, and is looked at now
        if not _is_mine(folder, newest + 1, mine):
            continue
        if others := set(_numbers(folder)).difference(numbers, [newest + 1]):
            # A lease was released while we looked, and another run began at 1: whoever sees it gives way.
            folder.delete(_key(newest + 1))
            raise _refusal(folder, _holder(folder, max(others)))
        killed_at = _written_at(folder, newest) if newest else None
        for number in numbers:
            folder.delete(_key(number))
        return Lease(folder, newest + 1, mine, killed_at)


def _refusal(folder: Folder, holder: Holder | None) -> RunStopped:
    who = f" ({holder})" if holder is not None else ""
    return RunStopped(
        f"{folder.url}: another run works in this output{who}; wait for its end, or stop it and run the same "
        "command again"
    )


def _alive(folder: Folder, number: int, patience: float) -> Holder | None:
    """The holder, where it lives."""
    first = _holder(folder, number)
    if first is None or first.is_gone:
        return None
    if first.is_near:
        return first
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        time.sleep(min(1.0, patience))
        now = _holder(folder, number)
        if now is None:
            return None
        if now != first:
            return now
    return None


def _holder(folder: Folder, number: int) -> Holder | None:
    """Who holds a number; ``None`` where it was released, or its file is damaged. A newer restora may have
    written more."""
    try:
        found = json.loads(folder.read(_key(number)))
        return Holder(**{each.name: found[each.name] for each in fields(Holder)})
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _is_mine(folder: Folder, number: int, mine: Holder) -> bool:
    found = _holder(folder, number)
    return found is not None and found.token == mine.token


def _written_at(folder: Folder, number: int) -> float | None:
    try:
        return folder.written_at(_key(number))
    except FileNotFoundError:  # released since we looked
        return None


def _numbers(folder: Folder) -> list[int]:
    stems = (Path(key).stem for key in folder.keys(LEASE, ".json"))
    return sorted(int(stem) for stem in stems if stem.isdigit())


def _key(number: int) -> str:
    return f"{LEASE}/{number:06d}.json"


def _encoded(holder: Holder) -> bytes:
    return json.dumps(asdict(holder), indent=1).encode()


def _machine() -> str:
    """This boot of this system and its process table, so that a process number means one process."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: the holder is watched instead
        return ""


def _process_started(pid: int) -> str:
    """When a process began, in ticks since boot; empty where there is none, or it is a zombie."""
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
