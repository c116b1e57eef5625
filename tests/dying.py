"""Deaths on purpose, for those who enumerate the points at which a process may end."""

import importlib
import os
import signal
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from typing import Any


def die_at(point: int, calls_of: tuple[str, ...] = ("replace", "link", "unlink"), owner: Any = os) -> None:
    """Before call ``point // 2`` of these functions of ``owner`` if the point is even, after it if odd."""
    lock, calls = threading.RLock(), iter(range(10_000))

    def deadly(original):
        def call(*arguments, **options):
            with lock:
                number = next(calls)
                if point == 2 * number:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = original(*arguments, **options)
                if point == 2 * number + 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

        return call

    for name in calls_of:
        setattr(owner, name, deadly(getattr(owner, name)))


def count_calls(calls_of: tuple[str, ...], owner: Any) -> Counter[str]:
    """How often each of these functions of ``owner`` is called from now on: two points a call."""
    counts = Counter[str]()

    def counting(name, original):
        def call(*arguments, **options):
            counts[name] += 1
            return original(*arguments, **options)

        return call

    for name in calls_of:
        setattr(owner, name, counting(name, getattr(owner, name)))
    return counts


def in_fork(work) -> int:
    """Exit code of ``work`` in a fork of this process; negative where a signal ended it.

    What it imported this process imports too: the forks after it are at work within a moment.
    """
    before = set(sys.modules)
    with tempfile.TemporaryFile() as imported:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                imported.write("\n".join(set(sys.modules) - before).encode())
                imported.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        imported.seek(0)
        for name in sorted(imported.read().decode().split()):
            with suppress(Exception):  # of what was put together and lies in no file
                importlib.import_module(name)
    return code
