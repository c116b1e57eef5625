"""One local run over thousands of damaged files of every format, and whole ones among them.

    python benchmarks/hostile.py [--files 10000] [--seed 0]

Prints how often each reason was given and fails unless every file has its row, every whole one has the very
output that it has in a run without the others, none that was cut or ends in other bytes is ok with other
pixels, one run sufficed, and no unit took longer than 20 seconds. Peak memory is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pipeline import run  # noqa: E402 - found by the line above
from pipeline.jobs.job import Job  # noqa: E402
from pipeline.ledger.run_folder import open_run  # noqa: E402
from tests.hostile_files import hostile_files  # noqa: E402
from tests.hostile_run import check_rows, job_over, write_files  # noqa: E402

LONGEST_SECONDS = 20.0
UNIT_IMAGES = 4
DRIVER = """
import sys
from pipeline import run
from pipeline.jobs.job import Job
job, options = Job.model_validate_json(sys.stdin.read()), run.Options(engine="local")
with run.open_run(job, options) as opened:
    run.execute(opened, options, run.plan(opened, options))
    run.compact(opened)
"""


def main() -> None:
    """Makes the files, runs, and compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="restora-hostile-"))
    try:
        problems = measure(folder, chosen.files, chosen.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(problems) or "nothing wrong")
    sys.exit(bool(problems))


def measure(folder: Path, count: int, seed: int) -> list[str]:
    """What is wrong."""
    files = list(hostile_files(count, seed))
    write_files(folder / "in", files, copies=max(1, count // 1000))
    write_files(folder / "alone", [])
    alone = job_over(folder / "alone", folder / "out-alone")
    job = job_over(folder / "in", folder / "out", resources={"unit_images": UNIT_IMAGES})
    driven(alone)
    seconds, longest, peak, starts = driven(job)
    reasons, problems = check_rows(job, alone, files)
    verification = run.verify(open_run(job))
    problems += verification.problems
    problems += [f"{starts} starts"] if starts > 1 else []
    problems += [f"{longest:.1f} s without a commit"] if longest > LONGEST_SECONDS else []
    for reason, times in reasons.most_common():
        print(f"{times:6d}  {reason}")
    print(
        f"{seconds:.0f} s, {sum(reasons.values()) / seconds:.0f} files/s, longest wait {longest:.1f} s, ",
        end="",
    )
    print(f"peak of all processes together {peak / 2**20:.0f} MiB")
    return problems


def driven(job: Job) -> tuple[float, float, int, int]:
    """Seconds, the longest time without a commit, peak resident bytes, starts until a run came through."""
    begun, longest, peak, starts = time.monotonic(), 0.0, 0, 0
    while True:
        starts += 1
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert driver.stdin is not None
        driver.stdin.write(json.dumps(job.model_dump(mode="json")))
        driver.stdin.close()
        commits, since = 0, time.monotonic()
        while driver.poll() is None:
            peak = max(peak, resident(driver.pid))
            found = committed(Path(job.output, "_restora", "ledger"))
            if found != commits:
                longest = max(longest, time.monotonic() - since if commits else 0.0)
                commits, since = found, time.monotonic()
            time.sleep(0.25)
        if driver.returncode == 0 or starts == 20:
            return time.monotonic() - begun, longest, peak, starts


def committed(ledger: Path) -> int:
    """Files of the ledger; folders go while they are counted, when what is in them is sealed."""
    return sum(name.endswith(".parquet") for _, _, names in os.walk(ledger) for name in names)


def resident(pid: int) -> int:
    """Bytes of a process and all below it."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
