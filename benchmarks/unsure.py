"""SURE without a noise level: UNSURE beside the level that is measured, as floors rest on it.

Tachella, Davies and Jacques 2025, "UNSURE: self-supervised learning with unknown noise level and Stein's
unbiased risk estimator" (ICLR; arXiv 2409.01985): of functions whose divergence is zero on average, the mean
squared distance to the noisy image is the noise's variance plus their error, so that nothing must be known of
it. Of a restorer D with mean slope d, (D(y) - d y) / (1 - d) is such a function; its distance, R / (1 - d)^2
where R is D's own, is the multiplier of the paper, an upper bound of the variance that is tight where the
image is easily told from noise. What is compared, on unrounded noise:

- the multiplier as a noise level, and R / (1 - d), which is the variance for a restorer that gives the mean
  of all images that the input may be;
- floors by Stein's formula and by the slopes (Tweedie) at those levels, and the shipped ones.

``python -m benchmarks.unsure FOLDER``: crops and splits as in ``benchmarks.trust``.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.trust import benchmarked, cut, table
from pipeline.results.calibrate import Rows
from pipeline.trust.evidence import LEVELS

Floats = NDArray[np.float64]
_LEAST = 1e-6
"""Mean squared error: an estimate that falls below, as Stein's may, counts as 60 dB."""


def levels_of(rows: Rows) -> tuple[dict[str, Floats], Floats, Floats]:
    """Noise levels by each way, in fractions of the range; R and d of each row."""
    measured = np.array([each.noise_level for each in rows.evidence]) / LEVELS
    residual = np.array([each.excess for each in rows.evidence]) + measured**2
    slope = np.array([each.spread for each in rows.evidence]) / measured**2
    levels = {
        "measured": measured,
        "UNSURE": np.sqrt(residual) / (1 - slope),
        "R / (1 - d)": np.sqrt(residual / (1 - slope)),
    }
    return levels, residual, slope


def with_estimates(rows: Rows, risk: Floats) -> Rows:
    """The same rows with other estimates of their mean squared error."""
    scale = np.array([each.standard_error for each in rows.evidence])
    truth = rows.margin * scale + np.array([each.psnr for each in rows.evidence])
    return replace(rows, margin=(truth + 10 * np.log10(np.maximum(risk, _LEAST))) / scale)


def main() -> None:
    """Prints two tables."""
    with tempfile.TemporaryDirectory() as scratch:
        crops = Path(scratch, "crops")
        crops.mkdir()
        cut(Path(sys.argv[1]), crops)
        rows, sigmas, _ = benchmarked(crops, Path(scratch, "out"), True, "none")
    levels, residual, slope = levels_of(rows)
    sigma = np.array(sigmas)
    print("| noise level over the true one | sigma 15 | sigma 25 | sigma 50 |")
    print("|---|---|---|---|")
    for name, level in levels.items():
        ratio = LEVELS * level / sigma
        cells = [
            f"{ratio[sigma == each].mean():.3f} +- {ratio[sigma == each].std():.3f}" for each in (15, 25, 50)
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| floors by | sigma 15 | sigma 25 | sigma 50 | mean slack |")
    print("|---|---|---|---|---|")
    print(f"| as shipped | {table(rows, sigmas)} |", flush=True)
    for name, level in levels.items():
        stein = residual - level**2 * (1 - 2 * slope)
        print(f"| Stein, {name} | {table(with_estimates(rows, stein), sigmas)} |", flush=True)
        print(f"| slopes, {name} | {table(with_estimates(rows, level**2 * slope), sigmas)} |", flush=True)


if __name__ == "__main__":
    main()
