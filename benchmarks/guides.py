"""Sharpening by a guide under Wald's protocol, beside bicubic: ERGAS, PSNR, QNR and HQNR, x2.

``python -m benchmarks.guides L7_ETMs.tif PHOTOGRAPHS``: bands of the Landsat scene of docs/landsat.md guided
by others, as 10 m bands guide those of 20 m, and the middle 512 x 512 of each photograph guided by the mean
of its colours. The images are seen through the transfer function of a sensor with twice as large pixels (0.3
at Nyquist); guides stay. ``--picture FILE`` writes near infrared of a part of the scene: seen, bicubic,
sharpened, true.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from models import catalog
from models.contract import Condition
from models.guides.matching import seen_coarsely
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.metrics import METRICS

RESTORERS = ("bicubic", "guided-filter", "gsa", "mtf-glp", "joint-total-variation", "pannet-x2")
SIDE = 512


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    scene_1CHW = read(chosen.scene)
    cases = {
        "bands 5, 7 by 1 to 4": [(scene_1CHW[:, 4:], scene_1CHW[:, :4])],
        "bands 1 to 3 by 4": [(scene_1CHW[:, :3], scene_1CHW[:, 3:4])],
        "all by the mean of 1 to 4": [(scene_1CHW, scene_1CHW[:, :4].mean(1, keepdim=True))],
    }
    photographs = [read(path) for path in sorted(chosen.photographs.iterdir())]
    cases["photographs by their mean"] = [(each, each.mean(1, keepdim=True)) for each in photographs]
    for case, pairs in cases.items():
        base = np.nan
        for name in RESTORERS:
            scores = [scored(name, *pair) for pair in pairs]
            ergas, psnr, qnr, hqnr = np.mean(scores, axis=0)
            base = ergas if name == "bicubic" else base
            print(
                f"{case:28} {name:24} ERGAS {ergas:6.3f}, {ergas / base:.3f} of bicubic's, {psnr:.2f} dB, "
                f"QNR {qnr:.3f}, HQNR {hqnr:.3f}",
                flush=True,
            )
    if chosen.picture:
        draw(scene_1CHW, chosen.picture)


def read(path: Path) -> Tensor:
    """1CHW in [0, 1], the middle."""
    pixels_HWC = decode(path.read_bytes(), Limits()).to_unit()[..., :6]
    height, width = (min(side // 2 * 2, SIDE) for side in pixels_HWC.shape[:2])
    top, left = (pixels_HWC.shape[0] - height) // 2, (pixels_HWC.shape[1] - width) // 2
    cut_HWC = pixels_HWC[top : top + height, left : left + width]
    return torch.from_numpy(np.ascontiguousarray(cut_HWC.transpose(2, 0, 1)))[None]


def scored(name: str, truth_1CHW: Tensor, guide_1PHW: Tensor) -> tuple[float, ...]:
    """ERGAS in percent, PSNR in dB, QNR, HQNR."""
    coarse_1Chw = seen_coarsely(truth_1CHW, 2)
    restored_1CHW = sharpened(name, coarse_1Chw, guide_1PHW)
    ergas = float(METRICS["ergas"](restored_1CHW.double(), truth_1CHW.double(), None)[0])
    mean_11HW = guide_1PHW.mean(1, keepdim=True)
    fused_1XHW = torch.cat([restored_1CHW, mean_11HW], 1)
    low_1Xhw = torch.cat([coarse_1Chw, seen_coarsely(mean_11HW, 2)], 1)
    blind = [float(METRICS[each](fused_1XHW, low_1Xhw, None)[0]) for each in ("qnr", "hqnr")]
    return ergas, float(-10 * (restored_1CHW - truth_1CHW).square().mean().log10()), *blind


def sharpened(name: str, coarse_1Chw: Tensor, guide_1PHW: Tensor) -> Tensor:
    """1CHW, clipped."""
    return catalog.build(name)(coarse_1Chw, condition=Condition(scale=2, guide_BPHW=guide_1PHW)).clamp(0, 1)


def draw(scene_1CHW: Tensor, path: Path) -> None:
    """Band 5 of a part: each pixel three times as large."""
    coarse_1Chw = seen_coarsely(scene_1CHW[:, 4:], 2)
    large = [
        sharpened(name, coarse_1Chw, scene_1CHW[:, :4])
        for name in ("bicubic", "mtf-glp", "joint-total-variation")
    ]
    nearest = coarse_1Chw.repeat_interleave(2, -2).repeat_interleave(2, -1)
    shown = [each[0, 0, 120:220, 120:220] for each in (nearest, *large, scene_1CHW[:, 4:])]
    row_HW = (torch.cat(shown, 1) * 1.6).clamp(0, 1).mul(255).byte().numpy()
    PIL.Image.fromarray(row_HW.repeat(2, 0).repeat(2, 1)).save(path, quality=80)


if __name__ == "__main__":
    main()
