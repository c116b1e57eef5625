"""Two drivers in one output, released at a barrier: each is refused or right, and what is left is whole.

    python -m tests.two_drivers FOLDER TURNS

Each driver is a fork of a process that has everything imported, so that both are at work within a moment.
"""

import multiprocessing
import shutil
import sys
from pathlib import Path

from pipeline import run
from pipeline.errors import JobError, RestoraError, RunStopped
from pipeline.ledger.run_folder import open_existing
from pipeline.results.verify import verify
from pipeline.storage.folder import Folder
from tests.dying import in_fork
from tests.helpers import encoded, lasting, metric_rows, photograph, photographs_in, restore

IMAGES = 8
FORKS = multiprocessing.get_context("fork")


def _same(job, source):
    _drive(job)


def _other_restorer(job, source):
    _drive(restore(source, job.output, restorers=["identity"]))


def _other_limit(job, source):
    _drive(job, limit=3)


def _other_units(job, source):
    _drive(job.model_copy(update={"resources": job.resources.model_copy(update={"unit_images": 3})}))


def _source_added(job, source):
    Folder(str(source)).put("0000-new.png", encoded(photograph(50)))
    _drive(job)


def _source_removed(job, source):
    Folder(str(source)).delete("0003.png")
    _drive(job)


def _retry(job, source):
    _drive(job, is_whole=False, retry=True)


def _verify(job, source):
    verify(open_existing(job.output))


OTHERS = {
    "the same job": _same,
    "another restorer": _other_restorer,
    "another limit": _other_limit,
    "other units": _other_units,
    "a source added": _source_added,
    "a source removed": _source_removed,
    "a retry": _retry,
    "a verification": _verify,
}
"""What the other one does."""


def main(folder: Path, turns: int) -> None:
    """Prints how often each variant ended how."""
    for name in OTHERS:
        ends = [play(name, folder / f"{name}-{turn}".replace(" ", "-")) for turn in range(turns)]
        print(f"{name:18}", {each: ends.count(each) for each in sorted(set(ends))}, flush=True)


def play(name: str, folder: Path) -> tuple[str, str]:
    """One turn of a variant: how each of the two ended. Asserts that what is left is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "in"
    assert in_fork(lambda: photographs_in(source, IMAGES)) == 0
    job = restore(source, folder / "out", resources={"unit_images": 2})
    barrier, ends = FORKS.Barrier(2), FORKS.Queue()
    deeds = [("one", lambda: _drive(job)), ("other", lambda: OTHERS[name](job, source))]
    processes = [
        FORKS.Process(target=_at_the_barrier, args=(barrier, ends, who, deed)) for who, deed in deeds
    ]
    for process in processes:
        process.start()
    found = dict(ends.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    # This process stays without threads, so that it can be forked again.
    assert in_fork(lambda: _check(source, open_existing(job.output).job, found)) == 0, (
        "its traceback is above"
    )
    return found["one"], found["other"]


def _at_the_barrier(barrier, ends, who, deed) -> None:
    barrier.wait()
    try:
        deed()
    except (RunStopped, JobError) as refused:
        ends.put((who, f"refused: {type(refused).__name__}"))
    except RestoraError as error:
        ends.put((who, f"error: {error}"))
    except BaseException as error:
        ends.put((who, f"wrong: {type(error).__name__}: {error}"))
    else:
        ends.put((who, "right"))


def _drive(job, is_whole: bool = True, **options) -> None:
    chosen = run.Options(engine="local", **options)
    with run.open_run(job, chosen) as opened:
        planned = run.plan(opened, chosen)
        run.execute(opened, chosen, planned)
        run.compact(opened)
        verification = run.verify(opened)
        assert verification.is_whole or not is_whole, verification.problems


def _check(source: Path, job, found: dict) -> None:
    """The output is of one of the two jobs; running that again completes it, to what a quiet run makes."""
    assert not [end for end in found.values() if end.startswith("wrong")], found
    _drive(job)
    rows = lasting(metric_rows(job), also=("output_uri", "host"))
    quiet = job.model_copy(update={"output": f"{job.output}-quiet"})
    _drive(quiet)
    assert rows == lasting(metric_rows(quiet), also=("output_uri", "host")), found
    assert len(rows) == len(list(source.iterdir())), found


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
