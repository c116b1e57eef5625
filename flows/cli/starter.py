"""The job that ``restora init`` writes: one that runs, with what else there is as comments."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import JobError

_HEAD = """\
# A job of restora. Run it with: {command}
# Every field: docs/operations.md and README.md; names: restora list restorers|degradations|metrics|formats
name = "{name}"
kind = "{kind}"
output = "out/{name}"  # a folder, or s3://bucket/results with pip install 'restora[s3]'
# output_profile = "archive"       # credentials for s3://, a profile of ~/.aws/credentials
# output_format = "png"            # of the images written; without it {format}

[[datasets]]                       # repeat the section for several
name = "photographs"
uri = "out/demo/images"            # your images; restora demo puts these photographs there
# pattern = "*.{{jpg,jpeg,png}}"     # upper and lower case alike
# private = true                   # needed for DICOM and NIfTI, true or false: docs/dicom.md
"""

_TAIL = """
# [quarantine]
# threshold = 0.05                 # exit code 3 where more of the images than this fail
# stop_share = 0.5                 # stop where more than this of the first 100 fail

# [resources]
# workers = 4                      # else one per GPU, or one per core
"""

_SCORES = """
metrics = ["psnr", "ssim"]         # the first one ranks
# per_band = ["psnr"]              # also of each band, as a list
# save = "restored"                # keep the images; else only scores
# seed = 1                         # another seed draws other noise
"""

_DEGRADATIONS = """\
degradations = ["awgn-25"]         # a preset, or your own:
# degradations = [{ name = "soft", operators = [
#   { op = "gaussian_blur", sigma = [0.8, 1.6] },   # a pair is a range, drawn per image
#   { op = "gaussian_noise", sigma = 15 },          # in 1/255 of the value range
# ] }]
"""

_RESTORERS = """\
restorers = ["ffdnet-colour", "total-variation", "median"]
# restorers = [                    # or weights of your own, and solvers with their parameters:
#   { name = "mine", weights = "s3://bucket/mine.safetensors" },
#   { name = "tv", solver = "total_variation", weight = 0.08 },
# ]
"""

_RESTORER = """\
restorers = [{ name = "ffdnet-colour", noise_level = 10 }]  # one; noise_level in 1/255, else estimated
metrics = ["consistency", "consistency_worst_tile"]  # how far the radiometry moved: no reference needed
"""

# Plain fields stand before the first section, or TOML takes them for its own.
_PARTS = {
    "benchmark": _DEGRADATIONS + _RESTORERS + _SCORES.lstrip("\n"),
    "restore": _RESTORER,
    "degrade": _DEGRADATIONS + "# seed = 1                         # another seed draws other noise\n",
}


def write_starter(path: Path, kind: str) -> None:
    """Writes the job. ``JobError`` for an unknown kind, and where there is a file of this name already."""
    if kind not in _PARTS:
        raise JobError(f'--kind: unknown kind "{kind}"; known are {", ".join(_PARTS)}')
    if path.exists():
        raise JobError(f"{path}: is there already; give another name, or delete it first")
    command = f"restora benchmark {path}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._") or "job"
    own = "PNG" if kind == "benchmark" else "that of each source"
    top, section = _HEAD.split("\n[[datasets]]")
    head = top.format(command=command, name=name, kind=kind, format=own)
    text = f"{head}\n{_PARTS[kind]}\n[[datasets]]{section.format()}{_TAIL}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
