"""Coverage and slack of floors over random halves of a folder's images, and what an estimate costs.

``python -m benchmarks.trust FOLDER`` takes grey crops of 256 x 256 (images below that whole), noise of 15, 25
and 50/255, ffdnet-grey with the level given and estimated. No crop of an image is on both sides of a split.
Twice: halves of the images whose crops count as images, as if of as many scenes; and nine images, no
fewer than 0.9 takes, which count as nine.
The condition of every floor: calibration and archive are exchangeable. With ``--all`` the other benchmarks of
trust follow.
"""

from __future__ import annotations

import runpy
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import run
from pipeline.jobs.job import Job
from pipeline.results.calibrate import Rows, rows_of, strata_of
from pipeline.results.tables import read_metrics

SIDE = 256
SPLITS = 500
WARRANTED = 9
"""Images that a level of 0.9 takes at least."""
HEADER = "| noise level | noise | sigma 15 | sigma 25 | sigma 50 | mean slack |\n|---|---|---|---|---|---|"
OTHERS = ("unsure", "trust_intervals", "trust_flags", "trust_consistent")
"""Each by itself: ``python -m benchmarks.NAME FOLDER``."""


def cut(source: Path, destination: Path, side: int = SIDE) -> None:
    """Grey crops, named so that those of an image can be kept together."""
    for path in sorted(p for p in source.rglob("*") if p.suffix.lower() in (".png", ".tif", ".bmp", ".jpg")):
        image = Image.open(path).convert("L")
        for top in range(0, max(image.height - side, 0) + 1, side):
            for left in range(0, max(image.width - side, 0) + 1, side):
                crop = image.crop((left, top, min(left + side, image.width), min(top + side, image.height)))
                crop.save(destination / f"{path.stem}@{top}-{left}.png")


def benchmarked(
    source: Path, output: Path, blind: bool, rounding: str, *, estimates: bool = True
) -> tuple[Rows, list[int], float]:
    """The rows of a run, the sigma of each, and CPU seconds."""
    noises = [
        {"name": f"s{sigma}", "operators": [{"op": "gaussian_noise", "sigma": sigma, "rounding": rounding}]}
        for sigma in (15, 25, 50)
    ]
    job = Job.parse(
        {
            "name": "trust",
            "output": str(output),
            "datasets": [{"name": "crops", "uri": str(source)}],
            "degradations": noises,
            "restorers": [{"name": "ffdnet-grey", "estimate_noise": blind}],
            "metrics": ["psnr"],
            "psnr_estimate": estimates,
        }
    )
    options = run.Options(engine="local")
    started = time.process_time()
    with run.open_run(job, options) as opened:
        run.execute(opened, options, run.plan(opened, options))
        seconds = time.process_time() - started
        run.compact(opened)
        records = read_metrics(opened).to_pylist()
    for record in records:
        record["key"] = record["key"].partition("@")[0]
    records = [each for each in records if each.get("psnr_evidence") is not None]
    return rows_of(records), [int(each["degradation"][1:]) for each in records], seconds


def table(rows: Rows, sigmas: list[int], images: int | None = None, level: float = 0.9) -> str:
    """Coverage with its standard error, and slack, at each sigma, over random splits of the images.

    ``images`` calibrate and count as such; ``None``: half of them do, and each of their crops counts as one.
    """
    sigma, cells, slacks = np.array(sigmas), [], []
    covered, slack, inside = _splits(rows, level, images)
    for each in np.unique(sigma):
        chosen = sigma == each
        held_out = ~inside & chosen
        by_image = [
            covered[:, mine][held_out[:, mine]].mean()
            for image in np.unique(rows.image)
            if (mine := (rows.image == image) & chosen).any()
        ]
        # Splits share their images, so that those are what is counted.
        error = np.std(by_image) / len(by_image) ** 0.5
        by_split = [np.mean(one[out]) for one, out in zip(covered, held_out, strict=True) if out.any()]
        slacks.append(
            np.mean([np.mean(one[out]) for one, out in zip(slack, held_out, strict=True) if out.any()])
        )
        cells.append(f"{np.mean(by_split):.3f} +- {error:.3f}, {slacks[-1]:.2f} dB")
    return " | ".join([*cells, f"{np.mean(slacks):.2f} dB"])


def _splits(rows: Rows, level: float, images: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split by split and row by row: whether it was covered, its slack in dB, whether it calibrated."""
    scale = np.array([each.standard_error for each in rows.evidence])
    rng, found = np.random.default_rng(0), []
    for _ in range(SPLITS):
        inside = np.isin(rows.image, rng.permutation(rows.images)[: images or rows.images // 2])
        ours = rows.of(inside)
        if images is None:  # half of a small set alone would warrant nothing
            ours = replace(ours, image=np.arange(len(ours.image)))
        strata = strata_of(ours, level)
        lows = np.array([each.noise_low for each in strata])
        place = np.clip(np.searchsorted(lows, rows.noise, side="right") - 1, 0, None)
        quantile = np.array([each.quantile for each in strata])[place]
        found.append((rows.margin >= quantile, (rows.margin - quantile) * scale, inside))
    covered, slack, insides = (np.array(each) for each in zip(*found, strict=True))
    return covered, slack, insides


def main() -> None:
    """Prints the table of floors; with ``--all`` those of the other benchmarks of trust behind it."""
    floors(Path(sys.argv[1]))
    for name in OTHERS if "--all" in sys.argv[2:] else ():
        print(f"\n{name}", flush=True)
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")


def floors(folder: Path) -> None:
    """Prints one table."""
    with tempfile.TemporaryDirectory() as scratch:
        crops = Path(scratch, "crops")
        crops.mkdir()
        cut(folder, crops)
        print(HEADER)
        honest = []
        for blind, known in ((False, "given"), (True, "estimated")):
            for rounding in ("none", "uint8"):
                output = Path(scratch, f"{known}-{rounding}")
                rows, sigmas, seconds = benchmarked(crops, output, blind, rounding)
                print(f"| {known} | {rounding} | {table(rows, sigmas)} |", flush=True)
                if rows.images > WARRANTED:
                    honest.append(f"| {known} | {rounding} | {table(rows, sigmas, WARRANTED)} |")
        print(f"\n{WARRANTED} images calibrate, and none of their crops counts as one:\n\n{HEADER}")
        print("\n".join(honest))
        _, _, without = benchmarked(crops, Path(scratch, "without"), True, "uint8", estimates=False)
        print(f"CPU seconds with estimates, without: {seconds:.1f}, {without:.1f}: {seconds / without:.2f}")


if __name__ == "__main__":
    main()
