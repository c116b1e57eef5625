"""Deaths on purpose, for those who enumerate the points at which a process may end."""

import os
import signal
import sys
import threading
from collections import Counter
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
    """Exit code of ``work`` in a fork of this process; negative where a signal ended it."""
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
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
