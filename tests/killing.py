"""Runs a job in a process of its own, watches it, and kills it or parts of it."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from pipeline.jobs.job import Job

ROOT = Path(__file__).parent.parent
WATCHED = Path(__file__).parent / "watched"

DRIVER = """
import sys
from flows.cli.without_collections import without_collections
with without_collections():
    from pipeline import run
    from pipeline.jobs.job import Job
    from pipeline.pandas_later import put_off_pandas

if __name__ == "__main__":
    put_off_pandas()
    job = Job.model_validate_json(open(sys.argv[1]).read())
    engine, workers, address = sys.argv[2:]
    options = run.Options(engine=engine, workers=int(workers) or None, ray_address=address or None)
    with run.open_run(job, options) as opened:
        planned = run.plan(opened, options)
        run.execute(opened, options, planned)
        run.compact(opened)
"""


class Watched:
    """One command, started again and again; a log of every unit that any of its processes began."""

    def __init__(
        self, job: Job, engine: str, workers: int = 0, address: str = "", **environment: str
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="restora-watched-", dir="/tmp"))
        self._log = self._folder / "begun"
        (self._folder / "job.json").write_text(job.model_dump_json())
        self._command = [
            sys.executable, "-c", DRIVER, str(self._folder / "job.json"), engine, str(workers), address,
        ]  # fmt: skip
        self.environment = environment | {
            "RESTORA_BEGUN": str(self._log),
            "PYTHONPATH": f"{WATCHED}{os.pathsep}{ROOT}",
            "RAY_TMPDIR": str(self._folder),
            "OMP_NUM_THREADS": "1",
        }
        self._seen: dict[int, psutil.Process] = {}
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with (self._folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=os.environ | self.environment, stdout=output, stderr=output
            )

    def address(self, address: str) -> None:
        """Starts on that cluster from now on."""
        self._command[-1] = address

    def engine(self, name: str, workers: int = 0) -> None:
        """Goes on with that engine; no workers: as many as there is room for."""
        self._command[-3:-1] = name, str(workers)

    @property
    def output(self) -> str:
        """What all its processes so far printed."""
        return (self._folder / "output").read_text()

    @property
    def begun(self) -> Counter[str]:
        """How often each unit was begun."""
        return Counter(self._log.read_text().split()) if self._log.exists() else Counter()

    def wait_for_units(self, more: int, seconds: float = 300) -> None:
        """Until so many more units were begun, and a random moment longer."""
        wanted, deadline = self.begun.total() + more, time.monotonic() + seconds
        while self.begun.total() < wanted:
            assert self.process.poll() is None, f"ended before it could be killed:\n{self.output}"
            assert time.monotonic() < deadline, f"no progress:\n{self.output}"
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05))

    def finish(self, seconds: float = 400) -> int:
        """Its exit code, once it ended by itself."""
        return self.process.wait(seconds)

    def run(self) -> None:
        """Starts it once more and takes it to a good end."""
        self.start()
        assert self.finish() == 0, self.output

    def kill_driver(self) -> None:
        """SIGKILL: no handler, no farewell; its children find themselves alone."""
        self.descendants()
        self.process.kill()
        self.process.wait()

    def kill_actor(self) -> None:
        """SIGKILL to one of the Ray actors that hold a worker."""
        actors = [each for each in self.descendants() if is_actor(each)]
        assert actors, "no actor among the children of the driver"
        random.choice(actors).kill()

    def descendants(self) -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children(recursive=True)
        self._seen |= {each.pid: each for each in found}
        return found

    def close(self) -> None:
        """Ends, one by one, what of its processes is left."""
        if self.process and self.process.poll() is None:
            self.kill_driver()
        end(self._seen.values())
        shutil.rmtree(self._folder, ignore_errors=True)


def is_actor(process: psutil.Process) -> bool:
    """Whether a process is a Ray actor of a Ray Data pool."""
    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::MapWorker")
    except psutil.Error:
        return False


def lives(process: psutil.Process) -> bool:
    """Whether it is there and not merely waited for."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes) -> None:
    """SIGKILL to each of these that still lives; psutil knows a reused process number."""
    for each in processes:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue
    psutil.wait_procs(list(processes), timeout=5)
