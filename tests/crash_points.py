"""Kills a small run at every write to disk, runs it again, and proves it whole. Prints the number of points.

The run seals its ledger however small it is, so that segment and manifest are among the points; deletions
are among those of ``seal_points``.

    python -m tests.crash_points SOURCES FOLDER

Each run is a fork of a process that has everything imported, so that a point costs a second, not five.
"""

import signal
import sys
from pathlib import Path

from pipeline import run
from pipeline.ledger import sealing
from pipeline.ledger.run_folder import open_run
from tests.dying import die_at, in_fork
from tests.helpers import benchmark, lasting, metric_rows, plan_and_execute


def main(sources: str, folder: str) -> None:
    """Runs undisturbed first, then dies at one point after the other until a run comes through."""
    expected = None
    for point in range(-1, 10_000):
        job = _job(sources, f"{folder}/{point}")
        ended = in_fork(lambda job=job, point=point: _run(job, dies_at=point))
        if point >= 0 and ended == 0:
            print(point)
            return
        assert ended == (0 if point == -1 else -signal.SIGKILL), f"point {point}: ended by {ended}"
        expected = _again(job, expected, point)


def _job(sources: str, output: str):
    return benchmark(sources, output, save="restored", resources={"unit_images": 1}, restorers=["identity"])


def _run(job, dies_at: int = -1) -> None:
    if dies_at >= 0:
        die_at(dies_at, ("replace", "link"))
    sealing.SEAL_AT = 1
    plan_and_execute(job)
    with run.open_run(job, run.Options(engine="local")) as opened:
        run.compact(opened)


def _again(job, expected, point: int) -> str:
    """Runs it once more and proves it whole, in a fork, so that this process never starts a thread."""
    found = Path(job.output) / "found"

    def run_and_prove() -> None:
        _run(job)
        found.write_text(repr(_proof(job)))

    assert in_fork(run_and_prove) == 0, f"point {point}: not whole after running again"
    rows = found.read_text()
    assert expected in (None, rows), f"point {point}: other rows than an undisturbed run"
    return rows


def _proof(job) -> list[dict]:
    verification = run.verify(open_run(job))
    assert verification.is_whole, verification.problems
    assert (verification.sources, verification.ok, verification.objects) == (2, 2, 2), verification
    assert run.plan(open_run(job), run.Options(engine="local")).left == 0
    return lasting(metric_rows(job), also=("output_uri",))


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
