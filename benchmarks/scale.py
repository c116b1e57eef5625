"""What a run costs beside its images: ``python benchmarks/scale.py --images 10000 100000``.

A synthetic listing (a store that answers from arithmetic) and a synthetic ledger, both through the code that
every run goes through: planned, committed unit by unit, compacted, verified without objects, reported; then
1,000 images, or ``--new``, are added and all is done again; then nothing is new. Each stage is a process of
its own: seconds of the cores (with threads, and processes that it starts), memory that it added at its peak
without those, requests to the run folder.
What the synthetic store itself took to answer is among the seconds, and said beside them.

Last comes what a run waits for once its units are done: the clock's seconds of tables (with sealing), verify
and report together. ``--images 1000000 --most-files 40000`` commits 31,250 files of units first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import OPTIONS, Arithmetic, commit_units, job_of

from pipeline import run
from pipeline.ledger.lease import held
from pipeline.ledger.run_folder import RunFolder, open_run
from pipeline.results import verify
from pipeline.storage.disk import Disk

MEGABYTE = 1e6
WRITES = {"walk", "put", "create"}
_SAID = 0.05
"""Seconds of the synthetic store's own that are worth a word."""
DOLLARS_A_WRITE, DOLLARS_A_READ = 5e-6, 4e-7
"""S3's prices of a PUT or LIST and of a GET or HEAD, us-east-1, standard storage; deletions are free."""


def planned(opened: RunFolder) -> Any:
    return vars(run.plan(opened, OPTIONS))


def committed(opened: RunFolder) -> Any:
    return {"done": len(opened.ledger.committed().done)}


def tables(opened: RunFolder) -> Any:
    return vars(run.compact(opened))


def verified(opened: RunFolder) -> Any:
    found = verify.verify(opened, since=datetime.now(UTC))
    assert found.is_whole, found.problems
    return {"sources": found.sources}


def reported(opened: RunFolder) -> Any:
    return {"at": run.report(opened)}


def unchanged(opened: RunFolder) -> Any:
    """The same command once more: planned, and found to be finished."""
    plan = run.plan(opened, OPTIONS)
    table = run.compact(opened) if run.finished(opened, plan) is None else None
    return {"left": plan.left, "finished": table is None}


def concluded(opened: RunFolder) -> Any:
    """What a run notes at its end, out of what the stages before it wrote; not measured in a run's table."""
    table = run.compact(opened)
    run.conclude(opened, table, verify.verify(opened, since=datetime.now(UTC)), run.report(opened))
    return {}


FIRST: dict[str, Callable[[RunFolder], Any]] = {
    "plan": planned,
    "(commit)": commit_units,
    "committed": committed,
    "tables": tables,
    "verify": verified,
    "report": reported,
}
STAGES = {
    **FIRST,
    **{f"{name}, some new": stage for name, stage in FIRST.items()},
    "(conclude)": concluded,
    "nothing new": unchanged,
}


def main() -> None:
    chosen = arguments()
    if chosen.stage:
        commit = partial(commit_units, most_files=chosen.most_files)
        STAGES.update({name: commit for name in STAGES if "(commit)" in name})
        print(json.dumps(measured(chosen.stage, chosen.folder, chosen.images[0])))
        return
    results = [(count, list(run_stages(count, chosen))) for count in chosen.images]
    print("| stage |", *(f"{count:,} images |" for count, _ in results), "exponent |")
    print("| --- |", *("--- |" for _ in results), "--- |")
    for index, name in enumerate(STAGES):
        row = [(count, rows[index]) for count, rows in results]
        print(f"| {name} |", *(f"{shown(each)} |" for _, each in row), f"{exponent(row)} |")
    for kind in ("", ", some new"):
        walls = [(count, waited(rows, kind)) for count, rows in results]
        print(
            f"| tables, verify and report{kind} |",
            *(f"{each:.1f} s by the clock |" for _, each in walls),
            "|",
        )


def waited(rows: list[dict[str, Any]], kind: str) -> float:
    """Seconds by the clock from the last unit to the report."""
    by_name = dict(zip(STAGES, rows, strict=True))
    return sum(float(by_name[name + kind]["wall"]) for name in ("tables", "verify", "report"))


def shown(result: dict[str, Any]) -> str:
    own = f", {result['store_cpu']:.1f} the store's" if result["store_cpu"] >= _SAID else ""
    said = f"{result['cpu']:.1f} s ({result['wall']:.1f} by the clock{own}), {result['added_mb']:.0f} MB"
    return f"{said}, {result['requests']:,}, ${result['dollars']:.4f}"


def exponent(row: list[tuple[int, dict[str, Any]]]) -> str:
    """Of the seconds of the cores, between the first count of images and the last."""
    (few, first), (many, last) = row[0], row[-1]
    if few == many or not first["cpu"]:
        return ""
    return f"{np.log(last['cpu'] / first['cpu']) / np.log(many / few):.2f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000])
    parser.add_argument("--new", type=float, default=1000, help="images that are added; below 1: their share")
    parser.add_argument("--most-files", type=int, default=5000, help="more units are written as segments")
    parser.add_argument("--scratch", help="where the run folders go; some 20 kB an image in 32 are needed")
    parser.add_argument("--stage", choices=STAGES, help="one stage alone, in --folder: what the script calls")
    parser.add_argument("--folder")
    return parser.parse_args()


def run_stages(count: int, chosen: argparse.Namespace) -> Iterator[dict[str, Any]]:
    new = int(chosen.new if chosen.new >= 1 else chosen.new * count)
    with tempfile.TemporaryDirectory(prefix="restora-scale-", dir=chosen.scratch) as folder:
        for name in STAGES:
            images = count + new if "new" in name or name == "(conclude)" else count
            command = [sys.executable, __file__, "--stage", name, "--folder", folder, "--images", str(images)]
            command += ["--most-files", str(chosen.most_files)]
            path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
            environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
            ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            result = json.loads(ended.stdout.splitlines()[-1])
            print(f"{count:>9,} {name:20} {shown(result)}  {result['said']}", file=sys.stderr, flush=True)
            yield result


def measured(name: str, folder: str, images: int) -> dict[str, Any]:
    fsspec.register_implementation("synthetic", Arithmetic)
    Arithmetic.count = images
    opened = open_run(job_of(folder))
    assert opened.recipe is not None  # built before the clock starts
    import pipeline.planning.plan
    import pipeline.report.write
    import pipeline.results.statistics  # noqa: F401

    requests = count_requests(opened.folder.root)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before, wall, cpu = memory("VmRSS"), time.perf_counter(), cores()
    with held(opened.folder) as opened.lease:
        said = STAGES[name](opened)
    return {
        "cpu": cores() - cpu,
        "store_cpu": Arithmetic.cpu,
        "wall": time.perf_counter() - wall,
        "added_mb": (memory("VmHWM") - before) / MEGABYTE,
        "requests": requests.total(),
        "dollars": dollars(requests),
        "by_kind": dict(requests),
        "said": said,
    }


def cores() -> float:
    """Seconds of the cores so far, of this process and of those that it started and waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def count_requests(root: str) -> Counter[str]:
    """Counts what is asked of the run folder from now on; a listing and an opened file count once."""
    calls: Counter[str] = Counter()

    def counted(method: str) -> Callable[..., Any]:
        original = getattr(Disk, method)

        def call(self: Disk, *arguments: Any) -> Any:
            calls[method] += self.root.startswith(root)  # files of this machine are no requests
            return original(self, *arguments)

        return call

    for method in ("walk", "fetch", "open", "entry", "exists", "put", "create", "delete"):
        setattr(Disk, method, counted(method))
    return calls


def dollars(requests: Counter[str]) -> float:
    """What they would cost at S3."""
    writes = sum(count for name, count in requests.items() if name in WRITES)
    reads = requests.total() - writes - requests["delete"]
    return writes * DOLLARS_A_WRITE + reads * DOLLARS_A_READ


def memory(field: str) -> int:
    """Bytes, from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
