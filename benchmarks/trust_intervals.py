"""Intervals in pixels: what 200 random calibrations miss, and whether they are wide where the error is.

``python -m benchmarks.trust_intervals FOLDER``: grey crops of 128 x 128, noise of 15, 25 and 50/255 that is
rounded to 8 bits, ffdnet-grey (``ffdnet-grey-quantiles`` gives the same images). Each calibration is of a
random half of the crops and tried on the other: crops stand for images here, so that halves are exchangeable,
which is the condition of every interval.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import spearmanr

from benchmarks.trust import cut
from models.catalog import build
from models.contract import Condition
from models.uncertainties import UNCERTAINTIES
from pipeline.processing.intervals import ratios_of
from pipeline.results.calibrate_intervals import ALPHA, IntervalRows

SIDE = 128
SIGMAS = (15, 25, 50)
CALIBRATIONS = 200
BLOCK = 8


def measured(name: str, crops: Path) -> tuple[IntervalRows, np.ndarray, np.ndarray]:
    """Ratios of each crop x sigma, and its spread and error as (rows, H, W)."""
    restorer, uncertainty = build("ffdnet-grey-quantiles"), UNCERTAINTIES[name]
    subject = uncertainty.subject(restorer)
    image, ratios, spreads, errors = [], [], [], []
    for number, path in enumerate(sorted(crops.iterdir())):
        truth = torch.from_numpy(np.asarray(Image.open(path), np.float32) / 255)[None, None]
        for sigma in SIGMAS:
            rng = torch.Generator().manual_seed(1000 * number + sigma)
            noisy = truth + sigma / 255 * torch.randn(truth.shape, generator=rng)
            noisy = (noisy * 255).round().clamp(0, 255) / 255
            told = Condition(noise_level_B=torch.tensor([sigma / 255]))

            def restore(each: torch.Tensor, condition: Condition) -> torch.Tensor:
                return subject(each, condition=condition)

            restored = restorer(noisy, condition=told)
            spread = uncertainty(restore, noisy, told, restored)
            error = ((restored * 255).round().clamp(0, 255) / 255 - truth).abs()
            image.append(number)
            ratios.append(ratios_of(error.flatten().double(), spread.flatten().double()))
            spreads.append(spread[0, 0].numpy())
            errors.append(error[0, 0].numpy())
    return IntervalRows(np.array(image), np.array(ratios)), np.stack(spreads), np.stack(errors)


def calibrated(rows: IntervalRows, spreads: np.ndarray) -> dict[str, Any]:
    """Over random halves: the share missed on the other half, and the mean half-width in grey levels."""
    rng, missed, widths = np.random.default_rng(0), [], []
    for _ in range(CALIBRATIONS):
        order = rng.permutation(rows.images)
        half = len(order) // 2
        scale = rows.of(order[:half]).scale(ALPHA, 0.1)
        missed.append(rows.of(order[half:]).missed(scale))
        widths.append(255 * scale * spreads.mean())
    return {
        "within": float(np.mean(np.array(missed) <= ALPHA)),
        "missed": float(np.mean(missed)),
        "half_width": float(np.mean(widths)),
    }


def correlations(spreads: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Rank correlation of spread and error by pixel, and of their root mean squares by block."""

    def blocks(values: np.ndarray) -> np.ndarray:
        height, width = (side // BLOCK * BLOCK for side in values.shape[1:])
        cut_up = values[:, :height, :width].reshape(
            len(values), height // BLOCK, BLOCK, width // BLOCK, BLOCK
        )
        return np.asarray(np.sqrt((cut_up**2).mean(axis=(2, 4))))

    by_pixel = spearmanr(spreads.ravel()[::7], errors.ravel()[::7]).statistic
    return float(by_pixel), float(spearmanr(blocks(spreads).ravel(), blocks(errors).ravel()).statistic)


def main() -> None:
    """Prints one table."""
    with tempfile.TemporaryDirectory() as scratch:
        crops = Path(scratch)
        cut(Path(sys.argv[1]), crops, SIDE)
        print("| uncertainty | within 0.10 | missed | half-width | rank, pixels | rank, 8 x 8 |")
        print("|---|---|---|---|---|---|")
        for name in UNCERTAINTIES:
            rows, spreads, errors = measured(name, crops)
            found, (pixels, blocks) = calibrated(rows, spreads), correlations(spreads, errors)
            print(
                f"| {name} | {found['within']:.3f} | {found['missed']:.3f} | {found['half_width']:.1f}/255 | "
                f"{pixels:.2f} | {blocks:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
