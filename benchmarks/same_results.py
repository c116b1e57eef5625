"""Two checkouts of the code on the same images: equal objects, tables and ledger keys, or what differs.

    git worktree add /tmp/before COMMIT
    python benchmarks/same_results.py /tmp/before .

For a change that must not move a bit. Runs the demo's job, with its restored images kept, and a restore job,
with each checkout in the same place one after the other: an image's place and time are part of its identity.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq

VOLATILE = {"seconds", "finished_at", "host", "device", "code_version"}
"""Columns that name time, device or version."""
BENCHMARK = """
name = "same"
output = "{place}/benchmark"
datasets = [{{ name = "photographs", uri = "{place}/images" }}]
degradations = ["awgn-25", "awgn-50"]
restorers = ["ffdnet-colour", "total-variation", "median"]
metrics = ["psnr", "ssim", "psnr_y", "ssim_y", "mae", "mse"]
save = "restored"
"""


def main() -> int:
    """Exit code 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="restora-same-") as folder:
        place = Path(folder)
        _photographs(place / "images")
        results = [_results(checkout.resolve(), place) for checkout in (chosen.before, chosen.after)]
    kinds = {kind: sum(name[0] == kind for name in results[1]) for kind in ("object", "ledger", "table")}
    wrong = sorted(
        name for name in results[0].keys() | results[1].keys() if results[0].get(name) != results[1].get(name)
    )
    for name in wrong:
        print("differs:", *name)
    print(f"{kinds['object']} objects, {kinds['ledger']} ledger files, {kinds['table']} tables: "
          f"{'equal' if not wrong else f'{len(wrong)} differ'}")  # fmt: skip
    return bool(wrong)


def _photographs(folder: Path) -> None:
    from collection import write_photographs

    write_photographs(folder, 6, 256)


def _results(checkout: Path, place: Path) -> dict[tuple[str, str], str]:
    for name in ("benchmark", "restored"):
        shutil.rmtree(place / name, ignore_errors=True)
    job = place / "job.toml"
    job.write_text(BENCHMARK.format(place=place), encoding="utf-8")
    restore = ["restore", f"{place}/images", f"{place}/restored", "--restorer", "ffdnet-colour"]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    for command in (["benchmark", str(job)], restore):
        subprocess.run(
            [sys.executable, "-m", "flows.cli", *command, "--engine", "local"],
            check=True, cwd=checkout, env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    found = {}
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        if path.suffix == ".png" and not name.startswith("images/"):
            found["object", name] = sha256(path.read_bytes()).hexdigest()
        elif "/ledger/" in name and path.is_file():
            found["ledger", name] = _rows(path)
        elif "/tables/" in name:
            found["table", name] = _rows(path)
    return found


def _rows(path: Path) -> str:
    table = pq.read_table(path)
    kept = table.select([name for name in table.schema.names if name not in VOLATILE])
    return sha256(repr(kept.to_pylist()).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
