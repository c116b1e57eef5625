"""What ``restora adapt`` gains on archives whose truth is known: four kinds of noise on three kinds of image.

    python benchmarks/adaptation.py PHOTOGRAPHS SCANS SKIES --steps 120

Each folder holds grey images of one kind; of each, up to --images are cut to --side pixels. Truth is used for
the table alone. Prints a row per archive: PSNR before and after in dB, the estimated gain, and whether the
adaptation was kept.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from models.weights import build_restorer, load_weights, shipped_path
from pipeline.training.adaptation.adapt import Settings, adapt

Noise = Callable[[Tensor, Generator], Tensor]


def white(image: Tensor, rng: Generator) -> Tensor:
    return image + 25 / 255 * torch.randn(image.shape, generator=rng)


def correlated(image: Tensor, rng: Generator) -> Tensor:
    side = torch.tensor([0.5, 1.0, 0.5])
    kernel = torch.outer(side, side)
    drawn = F.pad(torch.randn(image.shape, generator=rng), (1, 1, 1, 1), mode="circular")
    return image + 15 / 255 * F.conv2d(drawn, (kernel / kernel.norm())[None, None])


def photons(image: Tensor, rng: Generator) -> Tensor:
    return torch.poisson(image.clamp_min(0) * 30, generator=rng) / 30


def speckle(image: Tensor, rng: Generator) -> Tensor:
    return image * torch._standard_gamma(torch.full(image.shape, 25.0), generator=rng) / 25


NOISES: dict[str, Noise] = {
    "white": white,
    "correlated": correlated,
    "photons": photons,
    "speckle": speckle,
}


def images_of(folder: Path, count: int, side: int) -> list[Tensor]:
    """1CHW grey in [0, 1]."""
    found = []
    for path in sorted(folder.iterdir())[:count]:
        grey = np.asarray(PIL.Image.open(path).convert("L"), np.float32) / 255
        top, left = max(0, grey.shape[0] - side) // 2, max(0, grey.shape[1] - side) // 2
        found.append(torch.from_numpy(grey[top : top + side, left : left + side].copy())[None, None])
    return found


def psnr(first: Tensor, second: Tensor) -> float:
    return float(-10 * torch.log10((first.clamp(0, 1) - second).square().mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--restorer", default="ffdnet-grey")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--weights", default="gains")
    parser.add_argument("--loss", default="sure")
    given = parser.parse_args()
    torch.set_num_threads(1)
    card, state = load_weights(shipped_path(given.restorer))
    settings = Settings(steps=given.steps, weights=given.weights, loss=given.loss)
    gains: dict[str, list[float]] = {name: [] for name in NOISES}
    for folder in given.folders:
        true = images_of(folder, given.images, given.side)
        for name, noise in NOISES.items():
            rng = Generator().manual_seed(1)
            noisy = [noise(image, rng) for image in true]
            begun = time.process_time()
            done = adapt(card, state, noisy, settings, device=torch.device("cpu"))
            seconds = time.process_time() - begun
            before, after = (
                statistics.mean(psnr(restorer(y), x) for x, y in zip(true, noisy, strict=True))
                for restorer in (build_restorer(card, state), build_restorer(done.card, done.state))
            )
            gains[name].append(after - before)
            verdict = "kept" if done.kept else "undone"
            print(
                f"{folder.name:14} {name:10} {before:6.2f} -> {after:6.2f} dB ({after - before:+.3f}), "
                f"estimated {done.gain_db:+.3f}, {verdict}, {done.steps} steps, {seconds:.0f} s",
                flush=True,
            )
    for name, found in gains.items():
        print(f"mean {name:10} {statistics.mean(found):+.3f} dB, least {min(found):+.3f}")


if __name__ == "__main__":
    main()
