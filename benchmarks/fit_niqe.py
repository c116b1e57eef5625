"""Fits the parameters of NIQE: ``python -m benchmarks.fit_niqe FOLDER``.

FOLDER is as ``conf/train/gather_photographs.sh`` fills it.

Writes pipeline/metrics/niqe.safetensors and prints what its protocol must say. As in the paper: of every
photograph, the blocks whose sharpness exceeds 0.75 of that photograph's sharpest. The paper has 125
photographs; these are fewer and larger, so each counts twice, as it is and at half its size, and its
blocks overlap by half.
"""

import hashlib
import itertools
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import safetensors.torch
import torch

from pipeline.metrics import niqe
from pipeline.metrics.natural_scene import BLOCK, block_features

SHARP = 0.75
SIZES = (1, 2)
SHIFTS = tuple(itertools.product((0, BLOCK // 2), repeat=2))
TARGET = Path(niqe.__file__).with_name(niqe.MODEL)


def sharp_blocks(photograph: PIL.Image.Image) -> torch.Tensor:
    """Features of the sharp blocks of one photograph: N x 36."""
    pixels_HWC = np.asarray(photograph)
    image_1CHW = torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1)[None].double() / 255
    grey_1HW = niqe.grey_levels(image_1CHW)
    found = [block_features(grey_1HW[:, top:, left:]) for top, left in SHIFTS]
    features_NF, sharpness_N = (torch.cat(each, dim=1)[0] for each in zip(*found, strict=True))
    return features_NF[sharpness_N > SHARP * sharpness_N.max()]


def sizes(path: Path) -> list[PIL.Image.Image]:
    """The photograph as it is and at half its size."""
    with PIL.Image.open(path) as file:
        photograph = file.convert("RGB")
    height, width = photograph.height, photograph.width
    return [
        photograph.resize((width // size, height // size), PIL.Image.Resampling.LANCZOS) for size in SIZES
    ]


def main(folder: Path) -> None:
    paths = sorted((folder / "train").glob("*.png"))
    blocks = [torch.cat([sharp_blocks(photograph) for photograph in sizes(path)]) for path in paths]
    for path, features_NF in zip(paths, blocks, strict=True):
        print(f"{len(features_NF):4d} blocks of {path.name}")
    mean_F, covariance_FF = niqe.gaussian_model(torch.cat(blocks))
    tensors = {"mean": mean_F, "covariance": covariance_FF.contiguous()}
    note = f"{sum(map(len, blocks))} blocks of {', '.join(path.stem for path in paths)}"
    content = safetensors.torch.save(tensors, metadata={"fitted_on": note})  # two keys have no fixed order
    TARGET.write_bytes(content)
    print(f"{TARGET}: {note}")
    print(f"sha256 {hashlib.sha256(content).hexdigest()[:16]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
