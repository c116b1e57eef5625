"""Images per second on one core, beside plain numpy of the same maths: ratios within one run.

    OMP_NUM_THREADS=1 python benchmarks/operators.py [--size 256] [--seconds 2]

The numpy code is written here from the papers, in the way the common toolkits go about it: one image HWC
at a time, resampling weights worked out for every call (Keys 1981), convolution by scipy's FFT. Before it
is timed, it must give what ours gives. Repeats take turns, so that a busy machine slows all alike; the
fastest repeat counts.
"""

from __future__ import annotations

import argparse
import cmath
import io
import math
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.signal import fftconvolve
from skimage import data
from torch import Generator, Tensor

from models.operators.blur import GaussianBlur
from models.operators.compression import Jpeg
from models.operators.convolution import Convolution
from models.operators.motion import STEPS, MotionBlur
from models.operators.noise import GaussianNoise, PoissonNoise
from models.operators.real_esrgan import RealEsrgan
from models.operators.resample import Bicubic, imresize
from models.operators.resize import Resize

Pixels = np.ndarray
MOTION = MotionBlur(length=30.0, shake=0.005)
CHAIN = RealEsrgan(scale=4)
CHAINS = 24
"""So many drawn chains make one repeat, the same for both."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=256, help="height and width of the RGB photograph")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long each line is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    image_HWC = data.astronaut()[: options.size, : options.size].astype(np.float32) / 255
    image_1CHW = torch.from_numpy(image_HWC.transpose(2, 0, 1).copy())[None]
    check(image_HWC, image_1CHW)
    table = Table(title=f"One core, {options.size} x {options.size} x 3, {processor()}")
    for heading in ("operator", "by", "ms per image", "images/s", "restora is ... times as fast"):
        table.add_column(heading, justify="left" if heading in ("operator", "by") else "right")
    for operator, images, timed in contests(image_HWC, image_1CHW):
        best = fastest(timed, options.seconds)
        ours = best["restora"]
        for name, seconds in best.items():
            each = seconds / images
            ratio = "" if name == "restora" else f"{seconds / ours:.1f}"
            table.add_row(operator, name, f"{1e3 * each:.2f}", f"{1 / each:.0f}", ratio)
        table.add_section()
    Console(width=110).print(table)


Contest = tuple[str, int, dict[str, Callable[[], Any]]]


def contests(image_HWC: Pixels, image_1CHW: Tensor) -> list[Contest]:
    """Operator, images in one repeat, and who does it."""
    rng, draws = Generator().manual_seed(0), np.random.default_rng(0)
    height, width = (side // 4 for side in image_HWC.shape[:2])
    chains = drawn_chains(*image_HWC.shape[:2])

    def ours_chain() -> None:
        for seed in range(CHAINS):
            CHAIN(image_1CHW, Generator().manual_seed(seed))

    return [
        (
            "bicubic x4",
            1,
            {
                "restora": lambda: imresize(image_1CHW, height, width),
                "numpy, all rows at once": lambda: resize(image_HWC, height, width, "bicubic", True),
                "numpy, row by row": lambda: resize(image_HWC, height, width, "bicubic", True, by_rows),
            },
        ),
        (
            "bicubic x4, as MATLAB on uint8",
            1,
            {
                "restora": lambda: Bicubic(scale=4, rounding="uint8")(image_1CHW, rng),
                "numpy, all rows at once": lambda: matlab_uint8(image_HWC, height, width),
            },
        ),
        (
            "motion blur, path and image",
            1,
            {
                "restora": lambda: MOTION(image_1CHW, rng),
                "numpy": lambda: blur(
                    image_HWC, motion_kernel(MOTION.length, MOTION.shake, MOTION.side, draws)
                ),
            },
        ),
        (
            "second-order chain (Real-ESRGAN)",
            CHAINS,
            {
                "restora": ours_chain,
                # Its operators are drawn beforehand, and their kernels are ours: a little in its favour.
                "numpy": lambda: [through(chain, image_HWC, draws) for chain in chains],
            },
        ),
    ]


def drawn_chains(height: int, width: int) -> list[list[Any]]:
    return [CHAIN.chain(height, width, Generator().manual_seed(seed)) for seed in range(CHAINS)]


def fastest(timed: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    best = dict.fromkeys(timed, math.inf)
    for function in timed.values():
        function()
    stop = time.perf_counter() + seconds * len(timed)
    while time.perf_counter() < stop:
        for name, function in timed.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def check(image_HWC: Pixels, image_1CHW: Tensor) -> None:
    """The numpy code gives what ours gives, for every operator that draws nothing of its own."""
    height, width = (side // 4 for side in image_HWC.shape[:2])
    for method in (at_once, by_rows):
        same(resize(image_HWC, height, width, "bicubic", True, method), imresize(image_1CHW, height, width))
    rng = Generator().manual_seed(0)
    exact = Bicubic(scale=4, rounding="uint8")(image_1CHW, rng)
    same(matlab_uint8(image_HWC, height, width), exact, tolerance=1e-7)
    kernel = motion_kernel(MOTION.length, MOTION.shake, MOTION.side, np.random.default_rng(0))
    assert abs(kernel.sum() - 1) < 1e-9
    motion = MOTION.drawn(rng)
    same(blur(image_HWC, motion.kernel().numpy()), motion(image_1CHW, rng))
    checked = 0
    for operator in (operator for chain in drawn_chains(*image_HWC.shape[:2]) for operator in chain):
        if not isinstance(operator, GaussianNoise | PoissonNoise):
            checked += 1
            same(apply(operator, image_HWC, np.random.default_rng(0)), operator(image_1CHW, rng))
    assert checked > CHAINS


def same(theirs_HWC: Pixels, ours_1CHW: Tensor, tolerance: float = 1e-5) -> None:
    difference = np.abs(theirs_HWC - ours_1CHW[0].permute(1, 2, 0).numpy()).max()
    assert difference <= tolerance, difference


def resize(
    image_HWC: Pixels,
    height: int,
    width: int,
    kernel: str,
    antialias: bool,
    method: Callable[..., Pixels] | None = None,
) -> Pixels:
    method = method or at_once
    rows = method(image_HWC, *contributions(image_HWC.shape[0], height, kernel, antialias))
    columns = contributions(image_HWC.shape[1], width, kernel, antialias)
    return method(rows.swapaxes(0, 1), *columns).swapaxes(0, 1)


def at_once(image_HWC: Pixels, index_RT: Pixels, weight_RT: Pixels) -> Pixels:
    return np.einsum("rt,rtwc->rwc", weight_RT.astype(image_HWC.dtype), image_HWC[index_RT], optimize=True)


def by_rows(image_HWC: Pixels, index_RT: Pixels, weight_RT: Pixels) -> Pixels:
    result = np.empty((len(index_RT), *image_HWC.shape[1:]), image_HWC.dtype)
    for row, (index_T, weight_T) in enumerate(zip(index_RT, weight_RT.astype(image_HWC.dtype), strict=True)):
        result[row] = np.tensordot(weight_T, image_HWC[index_T], 1)
    return result


def contributions(size_in: int, size_out: int, kernel: str, antialias: bool) -> tuple[Pixels, Pixels]:
    """Which input pixels each output pixel mixes, and how; pixels beyond the border are mirrored."""
    step = size_in / size_out
    stretch = max(step, 1.0) if antialias and kernel != "area" else 1.0
    radius = {"bicubic": 2.0, "bilinear": 1.0, "area": (step + 1) / 2}[kernel] * stretch
    centre_R1 = ((np.arange(size_out) + 0.5) * step - 0.5)[:, None]
    index_RT = np.floor(centre_R1 - radius).astype(int) + np.arange(math.ceil(2 * radius) + 2)
    distance_RT = np.abs(centre_R1 - index_RT) / stretch
    if kernel == "bicubic":
        near = 1.5 * distance_RT**3 - 2.5 * distance_RT**2 + 1
        far = -0.5 * distance_RT**3 + 2.5 * distance_RT**2 - 4 * distance_RT + 2
        weight_RT = np.where(distance_RT <= 1, near, np.where(distance_RT <= 2, far, 0.0))
    elif kernel == "bilinear":
        weight_RT = np.maximum(1 - distance_RT, 0)
    else:
        weight_RT = np.clip(radius - distance_RT, 0, min(step, 1.0))
    weight_RT /= weight_RT.sum(axis=1, keepdims=True)
    folded_RT = index_RT % (2 * size_in)
    return np.where(folded_RT < size_in, folded_RT, 2 * size_in - 1 - folded_RT), weight_RT


def matlab_uint8(image_HWC: Pixels, height: int, width: int) -> Pixels:
    """Rounded half up and clipped after each pass."""
    whole_HWC = np.round(image_HWC.astype(np.float64) * 255)
    for axis, size in enumerate((height, width)):
        weights = contributions(image_HWC.shape[axis], size, "bicubic", True)
        mixed = at_once(whole_HWC.swapaxes(0, axis), *weights).swapaxes(0, axis)
        whole_HWC = np.clip(np.floor(mixed + 0.5), 0, 255)
    return (whole_HWC / 255).astype(np.float32)


def blur(image_HWC: Pixels, kernel_KK: Pixels) -> Pixels:
    radius = len(kernel_KK) // 2
    padded = np.pad(image_HWC, ((radius, radius), (radius, radius), (0, 0)), mode="symmetric")
    return fftconvolve(padded, kernel_KK.astype(np.float32)[..., None], mode="valid", axes=(0, 1))


def motion_kernel(length: float, shake: float, side: int, draws: np.random.Generator) -> Pixels:
    """A random camera path laid on the pixel grid (Kupyn et al. 2018, section 3.4 and algorithm 1)."""
    step = length / (STEPS - 1)
    pull, jerk, wobble = 0.7 * draws.random(), 0.2 * draws.random() * shake, 10 * draws.random()
    velocity, path = cmath.rect(step, 2 * math.pi * draws.random()), np.zeros(STEPS, complex)
    for index in range(1, STEPS):
        push = shake * (wobble * complex(*draws.standard_normal(2)) - pull * path[index - 1]) * step
        if draws.random() < jerk:
            push += 2 * velocity * cmath.exp(1j * (math.pi + draws.random() - 0.5))
        velocity += push
        velocity *= step / abs(velocity)
        path[index] = path[index - 1] + velocity
    points = path - path.mean() + complex(side // 2, side // 2)
    x, y = np.floor(points.real).astype(int), np.floor(points.imag).astype(int)
    right, below = points.real - x, points.imag - y
    kernel_KK = np.zeros((side, side))
    for dy, weight_y in ((0, 1 - below), (1, below)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            np.add.at(kernel_KK, (y + dy, x + dx), weight_x * weight_y)
    return kernel_KK / STEPS


def through(chain: list[Any], image_HWC: Pixels, draws: np.random.Generator) -> Pixels:
    for operator in chain:
        image_HWC = np.clip(apply(operator, image_HWC, draws), 0, 1)
    return np.round(image_HWC * 255) / 255


def apply(operator: Any, image_HWC: Pixels, draws: np.random.Generator) -> Pixels:
    """The same step in numpy."""
    match operator:
        case GaussianBlur():
            return blur(image_HWC, gaussian(operator.sigma, operator.size))
        case Convolution():
            return blur(image_HWC, operator.kernel().numpy())
        case Resize():
            return resize(image_HWC, operator.height, operator.width, operator.kernel, operator.antialias)
        case GaussianNoise():
            channels = 1 if operator.grey else image_HWC.shape[2]
            noise = draws.standard_normal((*image_HWC.shape[:2], channels), np.float32)
            return image_HWC + np.float32(operator.sigma / 255) * noise
        case PoissonNoise():
            light = image_HWC.mean(axis=2, keepdims=True) if operator.grey else image_HWC
            counts = draws.poisson(light * operator.photons) / operator.photons
            return (image_HWC + (counts - light)).astype(np.float32)
        case Jpeg():
            file, whole = io.BytesIO(), np.round(np.clip(image_HWC, 0, 1) * 255).astype(np.uint8)
            Image.fromarray(whole).save(
                file, "JPEG", quality=operator.quality, subsampling=operator.subsampling
            )
            return np.asarray(Image.open(file)).astype(np.float32) / 255
    raise TypeError(f"no numpy twin of {operator}")


def gaussian(sigma: float, size: int) -> Pixels:
    taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.outer(taps, taps) / taps.sum() ** 2


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
