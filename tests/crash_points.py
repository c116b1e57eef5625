"""Kills a small run at every write to disk, runs it again, and proves it whole. Prints the number of points.

    python -m tests.crash_points SOURCES FOLDER

Each run is a fork of a process that has everything imported, so that a point costs a second, not five.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from pipeline import run
from pipeline.ledger.run_folder import open_run
from tests.helpers import benchmark, lasting, metric_rows, plan_and_execute


def main(sources: str, folder: str) -> None:
    """Runs undisturbed first, then dies at one point after the other until a run comes through."""
    expected = None
    for point in range(-1, 10_000):
        job = _job(sources, f"{folder}/{point}")
        ended = _in_fork(lambda job=job, point=point: _run(job, dies_at=point))
        if point >= 0 and ended == 0:
            print(point)
            return
        assert ended == (0 if point == -1 else -signal.SIGKILL), f"point {point}: ended by {ended}"
        expected = _again(job, expected, point)


def _job(sources: str, output: str):
    return benchmark(sources, output, save="restored", resources={"unit_images": 1}, restorers=["identity"])


def _run(job, dies_at: int = -1) -> None:
    if dies_at >= 0:
        _die_at(dies_at)
    plan_and_execute(job)
    run.compact(open_run(job))


def _die_at(point: int) -> None:
    """Before the file ``point // 2`` comes to its place if the point is even, after it if it is odd."""
    lock, calls = threading.Lock(), iter(range(10_000))

    def deadly(place):
        def placed(source, target):
            with lock:
                call = next(calls)
                if point == 2 * call:
                    os.kill(os.getpid(), signal.SIGKILL)
                place(source, target)
                if point == 2 * call + 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        return placed

    os.replace, os.link = deadly(os.replace), deadly(os.link)


def _again(job, expected, point: int) -> str:
    """Runs it once more and proves it whole, in a fork, so that this process never starts a thread."""
    found = Path(job.output) / "found"

    def run_and_prove() -> None:
        _run(job)
        found.write_text(repr(_proof(job)))

    assert _in_fork(run_and_prove) == 0, f"point {point}: not whole after running again"
    rows = found.read_text()
    assert expected in (None, rows), f"point {point}: other rows than an undisturbed run"
    return rows


def _proof(job) -> list[dict]:
    verification = run.verify(open_run(job))
    assert verification.is_whole, verification.problems
    assert (verification.sources, verification.ok, verification.objects) == (2, 2, 2), verification
    assert run.plan(open_run(job), run.Options(engine="local")).left == 0
    return lasting(metric_rows(job), also=("output_uri",))


def _in_fork(work) -> int:
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


if __name__ == "__main__":
    import pandas  # noqa: F401 - everything slow is imported once, before the forks
    import torch

    import pipeline.ledger.run_folder
    import pipeline.results.statistics
    import pipeline.results.tables
    import pipeline.results.verify
    import pipeline.worker.worker  # noqa: F401

    torch.set_num_threads(1)
    main(*sys.argv[1:])
