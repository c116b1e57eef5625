"""The processes of Ray that were started here: whether they live, and what to say where one does not.

Ray itself ends its driver when its server or its node is gone, within a minute and in words about heartbeats.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import ray

from pipeline.errors import RunStopped

T = TypeVar("T")
_LOOKED_AFTER = 0.5
"""Seconds between two looks at the processes, while nothing is reported."""
_LAST_WORDS = 2.0
"""Seconds in which a death shows after Ray has said something else."""
_KINDS = {"gcs_server": "server (gcs_server)", "raylet": "node (raylet)"}


class RayWatch:
    """Over the Ray that this process started; over none, where it joined a cluster."""

    def __init__(self) -> None:
        # Ray has no other way to ask for the processes that it started.
        self._node: Any = import_module("ray._private.worker")._global_node
        self._children = self._below_node()

    def dead(self) -> str | None:
        """What of Ray has ended, though nobody asked it to."""
        processes = getattr(self._node, "all_processes", {})
        found = (
            kind for kind in _KINDS for each in processes.get(kind, ()) if each.process.poll() is not None
        )
        return next(found, None)

    def clear(self) -> None:
        """Kills what is left of it: Ray's own end would wait for the dead, and so do its agents."""
        atexit.unregister(ray.shutdown)
        if sys.excepthook.__module__.startswith("ray."):  # it tells Ray's server before it prints
            sys.excepthook = sys.__excepthook__
        children = self._children | self._below_node()
        self._node.kill_all_processes(check_alive=False, allow_graceful=False)
        for child, born in children.items():
            if born is not None and _born(child) == born:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)

    def _below_node(self) -> dict[int, str | None]:
        """The agents and workers that the node has started by now, where the system tells, by number, and
        when each began: numbers are used again."""
        nodes = (each.process.pid for each in getattr(self._node, "all_processes", {}).get("raylet", ()))
        listed = (each for node in nodes for each in Path(f"/proc/{node}/task").glob("*/children"))
        found: list[str] = []
        for each in listed:
            with suppress(OSError):  # a thread that ends meanwhile
                found += each.read_text().split()
        return {int(each): _born(int(each)) for each in found}

    def over(self, reports: Callable[[], Iterable[T]]) -> Generator[T]:
        """The reports, from a thread; ``RunStopped`` as soon as Ray is dead, whatever they wait for."""
        told: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

        def tell() -> None:
            try:
                for each in reports():
                    told.put((each, None))
                told.put((None, None))
            except Exception as error:
                told.put((None, error))

        teller = threading.Thread(target=tell, name="ray reports", daemon=True)
        teller.start()
        while True:
            try:
                report, error = told.get(timeout=_LOOKED_AFTER)
            except Empty:
                self._check()
                continue
            if error is not None:
                self._check(_LAST_WORDS)
                raise error
            if report is None:
                teller.join()  # what it still holds of Ray, it must let go of before Ray is ended
                return
            yield report

    def _check(self, seconds: float = 0.0) -> None:
        for _ in range(1 + round(seconds / _LOOKED_AFTER)):
            if (kind := self.dead()) is not None:
                raise RunStopped(
                    f"Ray's {_KINDS[kind]} on this machine ended and nobody asked it to: it was killed, "
                    "or memory ran out. What is committed stays; run the same command again, and it continues"
                )
            if seconds:
                threading.Event().wait(_LOOKED_AFTER)


def _born(process: int) -> str | None:
    """In ticks since the machine came up (proc_pid_stat(5)); ``None`` where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None
