"""Generators as priors, fixed and adapted, beside total variation and plug-and-play on 64 x 64 pixels.

``python -m benchmarks.generative_priors PHOTOGRAPHS``: the middle of each image of the folder, halved, and
brick, grass and gravel of scikit-image in grey; three quarters of the pixels missing, a square hole, and x4
by MATLAB's bicubic. PSNR in dB of each restorer, in holes over the hole alone, and its seconds of processor
time an image.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import skimage.data
import skimage.io
import torch
from torch import Tensor

from models import catalog
from models.contract import Condition
from models.operators.mask import Mask
from models.operators.resample import Bicubic
from models.restorer import Restorer

SIDE = 64
MISSING, HOLE, SMALLER = "3/4 missing", "hole of 20 x 20", "x4"
PRIORS: dict[str, dict[str, float | int | str]] = {
    "generative_prior": {"generator": "dcgan-photographs", "restarts": 4, "iterations": 200},
    "adapted_generative_prior": {"generator": "dcgan-photographs", "restarts": 4, "iterations": 200},
}


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--tasks", nargs="+", default=[MISSING, SMALLER, HOLE])
    chosen = parser.parse_args()
    images = textures(chosen.photographs)
    print(f"{len(images)} images")
    for task in chosen.tasks:
        for name, restorer in restorers(task).items():
            started = time.process_time()
            scores = np.array([scored(restorer, each, task) for each in images])
            seconds = (time.process_time() - started) / len(images)
            photographs, rest = scores[:-3].mean(), scores[-3:].mean()
            print(f"{task:16} {name:28} {photographs:6.2f} {rest:6.2f} dB, {seconds:.1f} s", flush=True)


def textures(folder: Path) -> list[Tensor]:
    """1CHW in [0, 1], colour: one of each photograph, and three grey textures."""
    found = []
    for path in sorted(folder.iterdir()):
        pixels_HWC = skimage.io.imread(path)[..., :3]
        height, width = pixels_HWC.shape[:2]
        top, left = (height - 2 * SIDE) // 2, (width - 2 * SIDE) // 2
        found.append(halved(pixels_HWC[top : top + 2 * SIDE, left : left + 2 * SIDE]))
    greys = [getattr(skimage.data, name)() for name in ("brick", "grass", "gravel")]
    return found + [halved(np.dstack([each[: 2 * SIDE, : 2 * SIDE]] * 3)) for each in greys]


def halved(pixels_HWC: np.ndarray) -> Tensor:
    """1CHW of half the side."""
    image_1CHW = torch.from_numpy(pixels_HWC.transpose(2, 0, 1)[None].astype(np.float32)) / 255
    return torch.nn.functional.avg_pool2d(image_1CHW, 2)


def restorers(task: str) -> dict[str, Restorer]:
    """The rivals of a task."""
    if task == SMALLER:
        names = ["bicubic", "srvgg-x4", "total variation"]
    else:
        names = ["total-variation-inpainting", "biharmonic-inpainting", "inpaint-gated"]
    priors = {name: catalog.build_solver(name, **parameters) for name, parameters in PRIORS.items()}
    priors["plug-and-play"] = catalog.build_solver("plug_and_play", denoiser="ffdnet-colour", iterations=40)
    plain = catalog.build_solver("joint_total_variation", influence=0)  # through the operators, by no guide
    rivals = {name: plain if name == "total variation" else catalog.build(name) for name in names}
    return rivals | priors


@dataclass(frozen=True)
class Seen:
    """A mask as a linear operator, for solvers that know of no masks."""

    known_11HW: Tensor
    name: ClassVar[str] = "seen"

    def __call__(self, image_BCHW: Tensor, rng: torch.Generator) -> Tensor:
        """0 where nothing is known."""
        return image_BCHW * self.known_11HW

    def adjoint(self, image_BCHW: Tensor, height: int, width: int) -> Tensor:
        """Itself."""
        return image_BCHW * self.known_11HW


def scored(restorer: Restorer, image_1CHW: Tensor, task: str) -> float:
    """PSNR in dB."""
    degraded_1CHW, condition = degraded(image_1CHW, task)
    if "guide" in restorer.card.needs:
        condition = replace(condition, guide_BPHW=torch.zeros(1, 1, SIDE, SIDE))
    if "noise_level" in restorer.card.needs:
        condition = replace(condition, noise_level_B=torch.tensor([1 / 255]))
    if condition.mask_B1HW is not None and "operators" in restorer.card.needs:
        condition = replace(condition, operators=(Seen(condition.mask_B1HW),))
    restored_1CHW = restorer(degraded_1CHW, condition=condition).clamp(0, 1)
    error_1CHW = (restored_1CHW - image_1CHW).square()
    if task == HOLE:
        assert condition.mask_B1HW is not None
        error_1CHW = error_1CHW[(condition.mask_B1HW == 0).expand_as(error_1CHW)]
    return float(-10 * error_1CHW.mean().log10())


def degraded(image_1CHW: Tensor, task: str) -> tuple[Tensor, Condition]:
    """As the restorers get it."""
    rng = torch.Generator().manual_seed(7)
    if task == SMALLER:
        smaller = Bicubic(scale=4)
        return smaller(image_1CHW, rng), Condition(scale=4, operators=(smaller,))
    if task == MISSING:
        mask_11HW = Mask(share=0.75).mask(SIDE, SIDE, rng)[None]
    else:
        mask_11HW = torch.ones(1, 1, SIDE, SIDE)
        mask_11HW[..., 22:42, 22:42] = 0
    return image_1CHW * mask_11HW, Condition(mask_B1HW=mask_11HW)


if __name__ == "__main__":
    main()
