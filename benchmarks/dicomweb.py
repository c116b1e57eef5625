"""DICOMweb, proved: ``python -m benchmarks.dicomweb``.

An Orthanc on loopback is filled with small series. A run restores all of them and stores the derived ones
there; it is killed by SIGKILL whenever another share of them has arrived, and run again. In the end every
source has one row and one derived image, stored once, and ``dcentvfy`` finds every derived series consistent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

import typer

from tests.dicomweb_samples import slice_of, uids_of
from tests.orthanc import PROFILE, Orthanc, running_orthanc

ROWS = "out/_restora/tables/metrics.parquet"


def main(
    series: Annotated[int, typer.Option()] = 100,
    slices: Annotated[int, typer.Option()] = 4,
    kills: Annotated[int, typer.Option()] = 5,
) -> None:
    """Ends with 1 where an image is missing or there twice, or a series is not consistent."""
    with tempfile.TemporaryDirectory() as folder, running_orthanc(Path(folder)) as orthanc:
        for number in range(series):
            for place in range(slices):
                orthanc.put(slice_of(number, place, seed=number, study=number // 4))
        job = _write_job(Path(folder), orthanc)
        total = series * slices
        for kill in range(1, kills + 1):
            seconds = _run_until(job, orthanc, total + kill * total // (kills + 1))
            print(f"kill -9 number {kill} after {seconds:.1f} s: {_count(orthanc) - total} of {total} stored")
        begun = time.monotonic()
        done = subprocess.run(
            _command(job), env=orthanc.environment, capture_output=True, text=True, check=False
        )
        print(f"the rest in {time.monotonic() - begun:.1f} s, exit code {done.returncode}")
        problems = _problems(Path(folder), orthanc, total)
    print("\n".join(problems) or f"{total} images of {series} series: each derived once, dcentvfy clean")
    raise typer.Exit(int(bool(problems) or done.returncode != 0))


def _write_job(folder: Path, orthanc: Orthanc) -> Path:
    place = f'uri = "{orthanc.url}"\nprofile = "{PROFILE}"\n'
    job = folder / "job.toml"
    job.write_text(
        f'name = "ward"\nkind = "restore"\noutput = "{folder}/out"\nrestorers = ["median"]\n'
        f'[output_store]\nname = "dicomweb"\n{place}[[datasets]]\nname = "ct"\nprivate = false\n{place}'
    )
    return job


def _command(job: Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", "benchmark", str(job), "--engine", "local"]


def _run_until(job: Path, orthanc: Orthanc, count: int) -> float:
    """Kills the run, with all that it started, once the server has so many images."""
    begun = time.monotonic()
    with job.with_suffix(".log").open("wb") as log:
        program = subprocess.Popen(
            _command(job), env=orthanc.environment, start_new_session=True, stdout=log, stderr=log
        )
    while _count(orthanc) < count:
        if program.poll() is not None:
            raise SystemExit(f"it ended before it was killed:\n{job.with_suffix('.log').read_text()}")
        time.sleep(0.02)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    return time.monotonic() - begun


def _count(orthanc: Orthanc) -> int:
    return int(orthanc.ask("GET", "/statistics").json()["CountInstances"])


def _problems(folder: Path, orthanc: Orthanc, total: int) -> list[str]:
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / ROWS).to_pylist()
    problems = [f"{row['key']}: {row['reason']}" for row in rows if row["status"] != "ok"]
    promised = Counter(row["output_uri"].rpartition("/")[2] for row in rows if row["output_uri"])
    derived: dict[str, list[Path]] = defaultdict(list)
    found: Counter[str] = Counter()
    for data in orthanc.objects():
        _, series, instance = uids_of(data)
        if series.startswith("2.25."):
            found[instance] += 1
            path = folder / f"{instance}.dcm"
            path.write_bytes(data)
            derived[series].append(path)
    if found != promised or len(found) != total or set(found.values()) != {1}:
        problems.append(f"{len(found)} derived images for {len(promised)} rows, {total} are due")
    changes = orthanc.ask("GET", "/changes?limit=100000").json()["Changes"]
    new = Counter(json.dumps(each["ID"]) for each in changes if each["ChangeType"] == "NewInstance")
    problems += [f"{uid}: stored {count} times" for uid, count in new.items() if count > 1]
    for series, paths in derived.items():
        judged = subprocess.run(["dcentvfy", *map(str, paths)], capture_output=True, text=True, check=False)
        if judged.returncode != 0 or judged.stderr.strip():
            problems.append(f"dcentvfy on {series}: {judged.stderr.strip()[:300]}")
    return problems


if __name__ == "__main__":
    typer.run(main)
