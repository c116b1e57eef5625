"""Ours beside ours-classic beside scikit-image and OpenCV, task by task, in one run.

    OMP_NUM_THREADS=1 python -m benchmarks.against_classics [--photographs FOLDER] [--tasks denoising ...]
        [--images N] [--markdown docs/classics.md] [--standings models/standings.json]

Every contestant gets the same degraded image and is told the same: the noise level, the kernel, the mask or
the number of looks. scikit-image's Wiener filter has no rule for its balance; it gets the best of seven for
each image, by the true one. Photographs are scikit-image's, or those of a folder; OpenCV takes part where it
is installed. PSNR over all pixels and channels, clipped to the range; the interval is that of 95 % of means
over images drawn again (bootstrap); seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from skimage import data, io, restoration, transform
from torch import Generator, Tensor

from models import catalog
from models.contract import Condition, RestorerError
from models.operators.blur import KernelBlur
from models.operators.compression import Jpeg
from models.operators.mask import IrregularMask
from models.operators.motion import MotionBlur
from models.operators.noise import GaussianNoise, Speckle
from models.operators.resample import Bicubic

try:
    import cv2
except ImportError:
    cv2 = None

Pixels = np.ndarray
Way = Callable[[Tensor], Tensor]
Rows = dict[str, list[tuple[float, float]]]
"""Name of a contestant to PSNR and seconds of each image."""
SIDE = 256
PATHS = ((20, 0.02), (25, 0.1), (30, 0.005), (40, 0.1), (45, 0.05), (50, 0.02), (60, 0.1), (60, 0.05))
"""Length and shake of eight camera paths."""
BALANCES = tuple(10.0**exponent for exponent in (-4, -3.5, -3, -2.5, -2, -1.5, -1))


class Case(NamedTuple):
    """One degraded photograph and who restores it."""

    task: str
    clean_1CHW: Tensor
    degraded_1CHW: Tensor
    ways: dict[str, Way]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=Path, help="folder of PNG files; scikit-image's where left out")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--images", type=int, default=8, help="the most photographs of each task")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    parser.add_argument("--standings", type=Path, help="write what the catalog says of its own there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    photographs = list(read(options.photographs))[: options.images]
    who = options.photographs.name if options.photographs else "scikit-image"
    text = HEAD.format(count=len(photographs), who=who)
    standings = {}
    for task in options.tasks:
        cases = (case for index, image in enumerate(photographs) for case in TASKS[task](image, index))
        scores = tried_all(cases)
        for part in (as_markdown(heading, rows) for heading, rows in scores.items()):
            print(part, flush=True)
            text += part
        margins = standing(scores)
        takes_colour = (name for name in margins if catalog.build(name).card.channels != 1)
        standings[task] = {"default": next(takes_colour), "margins": margins}
    if options.markdown:
        options.markdown.write_text(text)
    if options.standings:
        options.standings.write_text(json.dumps(standings, indent=1) + "\n")


def read(folder: Path | None) -> Iterator[Tensor]:
    """1CHW in [0, 1], cut to 256 x 256."""
    if folder:
        images = [io.imread(path) for path in sorted(folder.glob("*.png"))]
    else:
        images = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.camera(), data.brick()]
    for pixels in images:
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
        top, left = (max(side - SIDE, 0) // 2 for side in pixels.shape[:2])
        crop = pixels[top : top + SIDE, left : left + SIDE]
        yield torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float() / 255


def denoising(photograph: Tensor, index: int) -> Iterator[Case]:
    clean = photograph.mean(dim=1, keepdim=True)
    for sigma in (15, 25, 50):
        level = sigma / 255
        noisy = GaussianNoise(sigma=sigma)(clean, Generator().manual_seed(index))
        known = Condition(noise_level_B=torch.tensor([level]))
        strength = {"h": 0.8 * level, "sigma": level, "patch_size": 5, "patch_distance": 8}
        ways = ours(known, "ffdnet-grey", "bm3d", "non-local-means", "wavelet", "total-variation")
        ways["scikit-image: non-local means"] = on_grey(partial(restoration.denoise_nl_means, **strength))
        ways["scikit-image: total variation"] = on_grey(
            partial(restoration.denoise_tv_chambolle, weight=level)
        )
        if cv2:
            ways["OpenCV: non-local means"] = on_bytes(
                lambda y, h=float(sigma): cv2.fastNlMeansDenoising(y[..., 0], None, h=h)[..., None]
            )
        yield Case(f"Denoising, sigma {sigma}", clean, noisy, ways)


def speckle(photograph: Tensor, index: int) -> Iterator[Case]:
    clean = photograph.mean(dim=1, keepdim=True).clamp(min=0.02)
    for looks in (1, 4):
        speckled = Speckle(looks=looks)(clean, Generator().manual_seed(index))
        ways = ours(Condition(), "despeckle") | {
            "despeckle-bm3d": catalog.build_solver("despeckle_bm3d", looks=looks),
            "lee": catalog.build_solver("lee", looks=looks),
            "refined-lee": catalog.build_solver("lee", looks=looks, windows="edge_aligned"),
        }
        yield Case(f"Speckle, {looks} looks", clean, speckled, ways)


def deblurring(photograph: Tensor, index: int) -> Iterator[Case]:
    clean = photograph.mean(dim=1, keepdim=True)
    length, shake = PATHS[index % len(PATHS)]
    path = MotionBlur(length=length, shake=shake).drawn(Generator().manual_seed(index))
    for border in ("circular", "symmetric"):
        blur = KernelBlur(values=path.values, border=border)
        for sigma in (1.0, 2.55, 7.65):
            rng = Generator().manual_seed(index)
            noisy = GaussianNoise(sigma=sigma)(blur(clean, rng), rng)
            known = Condition(operators=(blur,), noise_level_B=torch.tensor([sigma / 255]))
            names = ("wiener", "unsupervised-wiener", "richardson-lucy", "richardson-lucy-tv")
            ways = ours(known, *names, "total-variation-deblurring", "plug-and-play-per-band")
            ways |= skimage_deblurring(clean, blur.kernel().numpy())
            yield Case(f"Camera shake, {border} border, sigma {sigma}", clean, noisy, ways)


def skimage_deblurring(clean: Tensor, kernel: Pixels) -> dict[str, Way]:
    def best_wiener(y: Pixels) -> Pixels:
        tried = [restoration.wiener(y, kernel, balance) for balance in BALANCES]
        return min(tried, key=lambda x: float(((x - clean[0, 0].numpy()) ** 2).mean()))

    return {
        "scikit-image: Wiener, best of 7": on_grey(best_wiener),
        "scikit-image: unsupervised Wiener": on_grey(
            lambda y: restoration.unsupervised_wiener(y, kernel, rng=0)[0]
        ),
        "scikit-image: Richardson-Lucy, 10": on_grey(
            lambda y: restoration.richardson_lucy(y, kernel, num_iter=10)
        ),
    }


def inpainting(photograph: Tensor, index: int, strokes: tuple[str, ...]) -> Iterator[Case]:
    clean = photograph.expand(-1, 3, -1, -1)
    for thickness in strokes:
        rng = Generator().manual_seed(index)
        known_1HW = IrregularMask(thickness=thickness).mask(clean.shape[2], clean.shape[3], rng)
        holes = (known_1HW[0].numpy() < 0.5).astype(np.uint8)
        classics = ("biharmonic", "total-variation", "fast-marching", "exemplar")
        names = ("inpaint-gated", *(f"{name}-inpainting" for name in classics))
        ways = ours(Condition(mask_B1HW=known_1HW[None]), *names)
        if cv2:
            for name, method in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS)):
                ways[f"OpenCV: {name}"] = on_bytes(lambda y, m=holes, f=method: cv2.inpaint(y, m, 5, f))
        yield Case(f"Inpainting, {thickness} strokes", clean, clean * known_1HW, ways)


def artefacts(photograph: Tensor, index: int) -> Iterator[Case]:
    clean = photograph.expand(-1, 3, -1, -1)
    for quality in (10, 30):
        decoded = Jpeg(quality=quality)(clean, Generator())
        ways = ours(Condition(), "nafnet-jpeg", "total-variation", "bilateral", "identity")
        yield Case(f"JPEG, quality {quality}", clean, decoded, ways)


def enlarging(photograph: Tensor, index: int, scale: int) -> Iterator[Case]:
    clean = photograph.expand(-1, 3, -1, -1)
    smaller = Bicubic(scale=scale, rounding="uint8")(clean, Generator())
    size = (clean.shape[2], clean.shape[3])
    ways = ours(Condition(scale=scale), f"srvgg-x{scale}", f"srvgg-x{scale}-consistent")
    ways |= ours(Condition(scale=scale), f"bicubic-x{scale}", f"lanczos-x{scale}")
    ways["scikit-image: resize, order 3"] = on_colour(partial(transform.resize, output_shape=size, order=3))
    if cv2:
        ways["OpenCV: Lanczos"] = on_bytes(
            lambda y: cv2.resize(y, size[::-1], interpolation=cv2.INTER_LANCZOS4)
        )
    yield Case(f"Enlarging by {scale}", clean, smaller, ways)


TASKS: dict[str, Callable[[Tensor, int], Iterator[Case]]] = {
    "denoising": denoising,
    "speckle": speckle,
    "deblurring": deblurring,
    "inpainting": partial(inpainting, strokes=("thin", "medium")),
    "inpainting wide holes": partial(inpainting, strokes=("thick",)),
    "artefacts": artefacts,
    "enlarging by 2": partial(enlarging, scale=2),
    "enlarging by 4": partial(enlarging, scale=4),
}


def ours(condition: Condition, *names: str) -> dict[str, Way]:
    return {name: partial(catalog.build(name), condition=condition) for name in names}


def on_grey(function: Callable[[Pixels], Pixels]) -> Way:
    return lambda y: torch.from_numpy(np.asarray(function(y[0, 0].double().numpy())))[None, None].float()


def on_colour(function: Callable[[Pixels], Pixels]) -> Way:
    def way(y: Tensor) -> Tensor:
        pixels = function(y[0].permute(1, 2, 0).double().numpy())
        return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()

    return way


def on_bytes(function: Callable[[Pixels], Pixels]) -> Way:
    """OpenCV's take 8 bits."""
    return on_colour(lambda y: function(np.clip(np.round(y * 255), 0, 255).astype(np.uint8)) / 255)


def tried_all(cases: Iterable[Case]) -> dict[str, Rows]:
    scores: dict[str, Rows] = {}
    for case in cases:
        for name, way in case.ways.items():
            scores.setdefault(case.task, {}).setdefault(name, []).append(tried(case, way))
    return scores


def standing(scores: dict[str, Rows]) -> dict[str, float]:
    """Restorer of ours -> how far it is above the best of all others, in dB: mean over the tables.

    Only those that take part in every table and refuse nothing; best first.
    """
    means = [
        {name: np.mean([psnr for psnr, _ in pairs]) for name, pairs in rows.items()}
        for rows in scores.values()
    ]
    everywhere = [name for name in means[0] if ":" not in name and all(name in each for each in means)]
    margins = {
        name: float(
            np.mean([each[name] - max(x for other, x in each.items() if other != name) for each in means])
        )
        for name in everywhere
    }
    known = {name: round(margin, 2) for name, margin in margins.items() if np.isfinite(margin)}
    return dict(sorted(known.items(), key=lambda item: -item[1]))


def tried(case: Case, way: Way) -> tuple[float, float]:
    """PSNR, NaN where the image is refused, and seconds of the processor."""
    start = time.process_time()
    try:
        restored = way(case.degraded_1CHW)
    except RestorerError as error:
        print(f"{case.task}: {error.reason}: {error}", flush=True)
        return float("nan"), time.process_time() - start
    seconds = time.process_time() - start
    return float(-10 * torch.log10((restored.clamp(0, 1) - case.clean_1CHW).square().mean())), seconds


def as_markdown(task: str, rows: Rows) -> str:
    lines = [
        f"\n## {task}\n\n| restorer | PSNR, dB | 95 % of means | s an image |\n| --- | --- | --- | --- |\n"
    ]
    for name, pairs in sorted(rows.items(), key=lambda row: -np.nan_to_num(np.mean(row[1], axis=0)[0])):
        scores, seconds = np.array(pairs).T
        drawn = np.random.default_rng(0).choice(scores, (2000, len(scores))).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        shown = name if ":" in name else f"`{name}`"
        lines.append(
            f"| {shown} | {scores.mean():.2f} | {low:.2f} to {high:.2f} | {np.median(seconds):.2f} |\n"
        )
    return "".join(lines)


HEAD = """# Restorers beside the classics

Made by `python -m benchmarks.against_classics --markdown docs/classics.md`: {count} photographs of {who},
256 x 256 pixels, one thread. What each contestant is told, and what the columns are, stands in the program's
first lines. Names in code type are this project's; `s an image` is the median of the processor's time on a
busy machine. scikit-image's Wiener filter is told the best of seven balances for each image by the true
one, which nobody has. The intervals are wide, for photographs differ; contestants differ less, since all have
the same ones. The best of each task, of those that take images in colour, is its default in the catalog:
`restora list restorers` shows how far each is above the best of all others, as the mean over the tables of
its task (`models/standings.json`, written by `--standings`). `plug-and-play-bm3d` takes part in none: it took
19 s an image, and was 0.3 dB above `plug-and-play-per-band` on the one of camera shake at sigma 2.55 that it
was tried on.
"""


if __name__ == "__main__":
    main()
