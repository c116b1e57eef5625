"""Consistent restorers beside what they wrap: how far the enlarged image is from giving its input back.

``python -m benchmarks.trust_consistent FOLDER``: colour or grey images, made smaller by MATLAB's bicubic and
rounded to 8 bits. Residual in grey levels before anything is rounded, PSNR of the luma without a border of
the scale, the least gain of a single image, and processor time over that of the wrapped restorer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models import catalog
from models.operators.resample import imresize
from pipeline.metrics.luma import studio_luma

NAMES = ("srvgg-x2", "srvgg-x4", "srgan-x4")
LEVELS = 255.0


def images(folder: Path, scale: int) -> list[Tensor]:
    """1CHW with three channels, cut to a multiple of the scale."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.suffix.lower() in (".png", ".bmp", ".tif")):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32) / LEVELS
        height, width = (side // scale * scale for side in pixels.shape[:2])
        found.append(torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].contiguous())
    return found


def smaller(image_BCHW: Tensor, scale: int) -> Tensor:
    """As the degradation makes it, not rounded."""
    return imresize(image_BCHW, image_BCHW.shape[-2] // scale, image_BCHW.shape[-1] // scale)


def score(restored_BCHW: Tensor, clean_BCHW: Tensor, border: int) -> float:
    """PSNR of the luma in dB, of the rounded image."""
    rounded = (restored_BCHW * LEVELS).round().clamp(0, LEVELS) / LEVELS
    error_BCHW = (studio_luma(rounded) - studio_luma(clean_BCHW))[..., border:-border, border:-border]
    return float(-10 * error_BCHW.square().mean().log10())


def measured(restore: Callable[[Tensor], Tensor], clean: list[Tensor], scale: int) -> tuple[list[float], ...]:
    """Residual, PSNR and seconds of each image."""
    residuals, scores, seconds = [], [], []
    for clean_BCHW in clean:
        given_BCHW = (smaller(clean_BCHW, scale) * LEVELS).round().clamp(0, LEVELS) / LEVELS
        started = time.process_time()
        restored_BCHW = restore(given_BCHW)
        seconds.append(time.process_time() - started)
        residual_BCHW = smaller(restored_BCHW, scale) - given_BCHW
        residuals.append(LEVELS * float(residual_BCHW.square().mean().sqrt()))
        scores.append(score(restored_BCHW, clean_BCHW, scale))
    return residuals, scores, seconds


def main() -> None:
    """Prints one table."""
    torch.set_num_threads(1)
    print("| restorer | residual | consistent | PSNR-Y | consistent | least gain | time |")
    print("|---|---|---|---|---|---|---|")
    for name in NAMES:
        before, after = catalog.build(name), catalog.build(f"{name}-consistent")
        scale = before.card.scale or 1
        clean = images(Path(sys.argv[1]), scale)
        with torch.inference_mode():
            (r0, p0, s0), (r1, p1, s1) = (measured(each, clean, scale) for each in (before, after))
        gain = min(b - a for a, b in zip(p0, p1, strict=True))
        print(
            f"| {name} | {np.mean(r0):.3f} | {np.mean(r1):.4f} | {np.mean(p0):.2f} | {np.mean(p1):.2f} | "
            f"{gain:+.3f} dB | {sum(s1) / sum(s0):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
