"""Kernels that are estimated from blurred images alone, against those that blurred them.

    OMP_NUM_THREADS=1 python -m benchmarks.blind_kernels [PHOTOGRAPHS] [--side 256] [--picture docs/blind.jpg]

Photographs of a folder, else of scikit-image, two shaken cameras each, noise of sigma 2.55. The image is
restored by `total-variation-deblurring` with the kernel found and with the true one; PSNR after the best
shift, since a blind estimate cannot know it, borders left out; the error ratio is that of Levin, Weiss,
Durand and Freeman 2009: squared error with the kernel found over that with the true one. Last come sharp
photographs, noise and a ramp, which have to be left as they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from skimage import data, io
from torch import Generator, Tensor

from models import catalog
from models.contract import Condition
from models.kernel_estimation.blind import blind
from models.kernel_estimation.found import Estimate
from models.operators.blur import KernelBlur
from models.operators.motion import MotionBlur
from models.operators.noise import GaussianNoise

SIGMA = 2.55
PATHS = ((15, 0.003), (22, 0.006), (28, 0.004), (35, 0.008), (40, 0.01), (18, 0.0), (25, 0.02), (30, 0.005))
"""Length and shake of eight camera paths."""
NAMES = ("astronaut", "coffee", "chelsea", "rocket", "camera", "brick")
BORDER, SHIFT = 30, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of photographs; else six of scikit-image")
    parser.add_argument("--side", type=int, default=256, help="of the crops, in pixels")
    parser.add_argument("--picture", type=Path, help="blurred, restored and kernel of the surest one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = NAMES if options.folder is None else tuple(map(str, sorted(options.folder.iterdir())))
    surest = 0.0, torch.zeros(1, 1)
    print("| photograph | confidence | in | found | true kernel | error ratio | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for index, name in enumerate(names):
        clean = photograph(name, options.side)
        for path in range(2):
            truth, blurred = shaken(clean, 2 * index + path, Generator().manual_seed(10 * index + path))
            started = time.process_time()
            found = blind(blurred[0])
            seconds = time.process_time() - started
            kernel = KernelBlur(values=tuple(map(tuple, found.kernel_KK.double().tolist())))
            errors = [least_error(each, clean) for each in (blurred, *restored(blurred, kernel, truth))]
            scores = " | ".join(f"{-10 * np.log10(each):.2f}" for each in errors)
            mark = "" if found.doubt else " (used)"
            sure = f"{found.confidence:.2f}{mark}"
            ratio = f"{errors[1] / errors[2]:.1f}"
            print(f"| `{Path(name).stem}` | {sure} | {scores} | {ratio} | {seconds:.1f} |", flush=True)
            if not found.doubt and found.confidence > surest[0]:
                surest = found.confidence, strip(blurred, restored(blurred, kernel, truth)[0], found)
    for name, image in unblurred(names, options.side):
        found = blind(image[0])
        print(f"{name}: {found.confidence:.2f}, {found.doubt or 'USED'}", flush=True)
    if options.picture:
        io.imsave(options.picture, (surest[1].clamp(0, 1).numpy() * 255).astype(np.uint8))


def photograph(name: str, side: int) -> Tensor:
    """11HW in [0, 1], from the middle."""
    pixels = getattr(data, name)() if name in NAMES else io.imread(name)
    grey = pixels.mean(axis=-1) if pixels.ndim == 3 else pixels
    top, left = (max(each - side, 0) // 2 for each in grey.shape)
    return torch.from_numpy(grey[top : top + side, left : left + side] / 255).float()[None, None]


def shaken(clean: Tensor, index: int, rng: Generator) -> tuple[KernelBlur, Tensor]:
    length, shake = PATHS[index % len(PATHS)]
    blur = MotionBlur(length=length, shake=shake).drawn(rng)
    return blur, GaussianNoise(sigma=SIGMA)(blur(clean, rng), rng)


def unblurred(names: tuple[str, ...], side: int) -> Iterator[tuple[str, Tensor]]:
    rng = Generator().manual_seed(0)
    noise = torch.randn(1, 1, side, side, generator=rng)
    for name in names:
        clean = photograph(name, side)
        yield f"{name}, sharp", clean + 0.01 * noise[..., : clean.shape[-2], : clean.shape[-1]]
    yield "noise", 0.5 + 0.1 * noise
    yield "ramp", torch.linspace(0, 1, side).expand(1, 1, side, side) + 0.01 * noise
    yield "flat", torch.full((1, 1, side, side), 0.3)


def restored(blurred: Tensor, *kernels: KernelBlur) -> list[Tensor]:
    """With each kernel; the blurred image where the restorer refuses its own result."""
    restorer = catalog.build("total-variation-deblurring")
    images = []
    for kernel in kernels:
        told = Condition(operators=(kernel,), noise_level_B=torch.tensor([SIGMA / 255]))
        try:
            images.append(restorer(blurred, condition=told))
        except ValueError:
            images.append(blurred)
    return images


def least_error(image: Tensor, clean: Tensor) -> float:
    """Mean squared error without the border, after the best shift by whole pixels."""
    shifts = [(down, right) for down in range(-SHIFT, SHIFT + 1) for right in range(-SHIFT, SHIFT + 1)]
    expected = clean[..., BORDER:-BORDER, BORDER:-BORDER]
    moved = (image.clamp(0, 1).roll(shift, (-2, -1))[..., BORDER:-BORDER, BORDER:-BORDER] for shift in shifts)
    return min(float((each - expected).square().mean()) for each in moved)


def strip(blurred: Tensor, sharp: Tensor, found: Estimate) -> Tensor:
    """Side by side; the kernel enlarged."""
    side = blurred.shape[-2]
    times = side // len(found.kernel_KK)
    large = (found.kernel_KK / found.kernel_KK.max()).repeat_interleave(times, 0).repeat_interleave(times, 1)
    drawn = torch.zeros(side, side)
    drawn[: len(large), : len(large)] = large
    return torch.cat([blurred[0, 0], sharp[0, 0], drawn], dim=1)


if __name__ == "__main__":
    main()
