"""Runs a job in forks that die of SIGKILL right after they have replaced a certain file.

    python -m tests.scene_deaths JOB OUTPUT PART COUNT [OUTPUT PART COUNT ...]

``PART`` is text in the path of the file, ``COUNT`` says how many such files there are to be. Each run has
its own output. A fork of a process that has everything imported costs a second, not five.
"""

import os
import signal
import sys

from pipeline.jobs.job import Job
from tests.helpers import plan_and_execute


def main(job: Job, points: list[str]) -> None:
    """Fails where a run came through."""
    for output, part, count in zip(points[::3], points[1::3], points[2::3], strict=True):
        pid = os.fork()
        if pid == 0:
            _die(job.model_copy(update={"output": output}), part, int(count))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == -signal.SIGKILL, f"{part} {count}: ended by {status}"


def _die(job: Job, part: str, count: int) -> None:
    replace, seen = os.replace, []

    def deadly(source, target):
        replace(source, target)
        seen.extend([target] if part in str(target) else [])
        if len(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = deadly
    try:
        plan_and_execute(job)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(Job.model_validate_json(sys.argv[1]), sys.argv[2:])
