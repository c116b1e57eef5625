"""Flags without a reference: how many of 200 planted structures are found, and how many images are flagged
for nothing.

``python -m benchmarks.trust_flags FOLDER``: crops of 128 x 128; ffdnet-grey at 25/255 and srvgg-x4. One half
of the crops draws the line (``pipeline.results.calibrate_flags``); in the restored images of the other half
a disc, a ring or a bar of 4 to 16 pixels is planted, at contrasts of 30, 40 and 60/255: the input knows
nothing of it. Crops stand for images here: halves are exchangeable, which is the condition. The last lines
are CPU times of a 512 x 512 image.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.trust import cut
from models.catalog import build
from models.contract import Condition
from models.operators.resample import imresize
from models.unsupported import PATCH, detail_scores, patches, residual_scores
from pipeline.metrics import METRICS
from pipeline.results.calibrate_flags import upper_bound
from pipeline.trust.flags import RATE

SIDE = 128
CONTRASTS = (30, 40, 60)
PLANTED = 200


class Case:
    """A restored crop, and the scores of images like it."""

    def __init__(self, path: Path, number: int, scale: int) -> None:
        truth = torch.from_numpy(np.asarray(Image.open(path), np.float32) / 255)[None, None]
        self.scale, self.side = scale, SIDE // scale
        if scale == 1:
            level = torch.tensor([25 / 255])
            rng = torch.Generator().manual_seed(number)
            noisy = truth + level * torch.randn(truth.shape, generator=rng)
            self.given = (noisy * 255).round().clamp(0, 255) / 255
            self.level = level
            self.restored = build("ffdnet-grey")(self.given, condition=Condition(noise_level_B=level)).clamp(
                0, 1
            )
        else:
            self.given = (imresize(truth, self.side, self.side) * 255).round().clamp(0, 255) / 255
            self.level = torch.zeros(1)
            self.restored = (
                build("srvgg-x4")(self.given.expand(-1, 3, -1, -1)).mean(1, keepdim=True).clamp(0, 1)
            )

    def scores(self, restored: Tensor) -> tuple[Tensor, Tensor]:
        """Of every patch."""
        again = restored if self.scale == 1 else imresize(restored, self.side, self.side)
        residual = residual_scores(again, self.given, self.level, None)
        detail = detail_scores(restored, self.given)
        return patches(residual, self.side, self.side)[0], patches(detail, self.side, self.side)[0]

    def planted(self, rng: np.random.Generator, contrast: float) -> tuple[Tensor, tuple[int, int]]:
        """The restored image with a structure in it, and the patch that holds its middle."""
        down, across = (int(each) for each in rng.integers(16, SIDE - 16, 2))
        rows, columns = np.mgrid[:SIDE, :SIDE] - np.array([down, across])[:, None, None]
        radius, distance = rng.uniform(4, 8), np.hypot(rows, columns)
        turn = rng.uniform(0, np.pi)
        along, beside = (
            rows * np.sin(turn) + columns * np.cos(turn), rows * np.cos(turn) - columns * np.sin(turn)
        )  # fmt: skip
        shapes = (
            distance < radius,
            np.abs(distance - radius) < 1.5,
            (np.abs(along) < 2 * radius) & (np.abs(beside) < 1.6),
        )
        shape = torch.from_numpy(shapes[rng.integers(3)].astype(np.float32))
        image = (self.restored + float(rng.choice([-1, 1])) * contrast / 255 * shape).clamp(0, 1)
        side = PATCH * self.scale
        return image, (down // side, across // side)


def measured(name: str, crops: list[Path], scale: int) -> None:
    """Prints one row for each contrast."""
    rng = np.random.default_rng(0)
    cases = [Case(path, number, scale) for number, path in enumerate(crops)]
    order = rng.permutation(len(cases))
    half = len(order) // 2
    clean = [tuple(float(each.max()) for each in case.scores(case.restored)) for case in cases]
    ours = [clean[place] for place in order[:half]]
    names = [str(place) for place in range(half)]
    bounds = [upper_bound(names, [each[kind] for each in ours], RATE / 2) for kind in (0, 1)]
    false = np.mean([any(clean[place][kind] > bounds[kind] for kind in (0, 1)) for place in order[half:]])
    for contrast in CONTRASTS:
        found = near = 0
        for number in range(PLANTED):
            case = cases[order[half + number % (len(order) - half)]]
            image, (down, across) = case.planted(rng, contrast)
            flagged = [score > bound for score, bound in zip(case.scores(image), bounds, strict=True)]
            either = flagged[0] | flagged[1]
            found += bool(either.any())
            near += bool(either[max(down - 1, 0) : down + 2, max(across - 1, 0) : across + 2].any())
        print(
            f"| {name} | {contrast}/255 | {found / PLANTED:.3f} | {near / PLANTED:.3f} | {false:.3f} |",
            flush=True,
        )


def seconds(crop: Path) -> None:
    """Prints what scores cost on 512 x 512."""
    torch.set_num_threads(1)
    image = torch.from_numpy(np.asarray(Image.open(crop), np.float32) / 255).repeat(4, 4)[None, None]
    other, level = (image + 0.01).contiguous(), torch.tensor([0.1])

    def flags() -> None:
        patches(residual_scores(other, image, level, None), 512, 512)
        patches(detail_scores(other, image), 512, 512)

    for name, work in (("flags", flags), ("sfrc", lambda: METRICS["sfrc"](other, image, None))):
        work()
        times = []
        for _ in range(20):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
        print(
            f"{name}, 512 x 512: {1000 * min(times):.1f} ms, median {1000 * float(np.median(times)):.1f} ms"
        )


def main() -> None:
    """Prints one table and two times."""
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        cut(Path(sys.argv[1]), Path(scratch), SIDE)
        crops = sorted(Path(scratch).iterdir())
        print("| restorer | contrast | found | beside it | images flagged for nothing |")
        print("|---|---|---|---|---|")
        measured("ffdnet-grey, 25/255", crops, 1)
        measured("srvgg-x4", crops, 4)
        seconds(crops[0])


if __name__ == "__main__":
    main()
