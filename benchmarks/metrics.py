"""Scores per second on one core, beside the libraries that people use: ratios within one run.

    OMP_NUM_THREADS=1 python -m benchmarks.metrics [--peers FOLDER] [--size 256] [--seconds 1.0]

Peers (torchmetrics, piq, pytorch_msssim) are timed where they can be imported; ``--peers`` names a folder
they were installed into with ``pip install --no-deps --target``. All get the same pair and the repeats
take turns, so that a busy machine slows them alike; the fastest repeat counts.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from pipeline.metrics import METRICS
from pipeline.metrics.window import gaussian

Timed = dict[str, Callable[[], Any]]
Peers = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", type=Path, help="folder with installed peers")
    parser.add_argument("--size", type=int, default=256, help="height and width of the RGB pair")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long each line is timed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    restored, reference = pair(options.size)
    peers = find_peers(options.peers)
    for metric in ("ssim", "psnr"):
        table(metric, contestants(metric, restored, reference, peers), options.seconds)
    table("sliding window alone (12 planes)", windows(options.size), options.seconds)
    batch = restored.expand(8, -1, -1, -1).contiguous(), reference.expand(8, -1, -1, -1).contiguous()
    ours = {name: lambda m=metric: m(*batch, None) for name, metric in METRICS.items()}
    table("all metrics, batch of 8", ours, options.seconds / 4, images=8)


def pair(size: int) -> tuple[Tensor, Tensor]:
    reference = torch.from_numpy(data.astronaut()[:size, :size].transpose(2, 0, 1).copy()).float()
    noise = 13 * torch.randn(reference.shape, generator=torch.Generator().manual_seed(0))
    return (reference + noise).round().clamp(0, 255)[None] / 255, reference[None] / 255


def contestants(metric: str, restored: Tensor, reference: Tensor, peers: Peers) -> Timed:
    x, y = (image[0].permute(1, 2, 0).contiguous().numpy() for image in (restored, reference))
    x8, y8 = (np.round(image * 255).astype(np.uint8) for image in (x, y))
    timed: Timed = {"restora": lambda: METRICS[metric](restored, reference, None)}
    if metric == "psnr":
        timed["scikit-image, uint8"] = lambda: peak_signal_noise_ratio(y8, x8)
        timed["scikit-image, float32"] = lambda: peak_signal_noise_ratio(y, x, data_range=1.0)
        functions = {"torchmetrics": "peak_signal_noise_ratio", "piq": "psnr"}
    else:
        wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
        timed["scikit-image, uint8"] = lambda: structural_similarity(y8, x8, **wang)
        timed["scikit-image, float32"] = lambda: structural_similarity(y, x, data_range=1.0, **wang)
        functions = {
            "torchmetrics": "structural_similarity_index_measure",
            "piq": "ssim",
            "pytorch_msssim": "ssim",
        }
    for peer, function in functions.items():
        extra = {"downsample": False} if (peer, metric) == ("piq", "ssim") else {}
        if peer in peers:
            score = getattr(peers[peer], function)
            timed[peer] = lambda f=score, e=extra: f(restored, reference, data_range=1.0, **e)
    return timed


def windows(size: int) -> Timed:
    """Means under an 11 x 11 Gaussian; the last column is the first mean."""
    window = gaussian(11, 1.5)
    planes_HPW = torch.rand(size, 12, size)
    planes_1PHW = planes_HPW.permute(1, 0, 2)[None].contiguous()
    taps = torch.tensor(window.weights)
    down, along = taps.view(1, 1, 11, 1).expand(12, 1, 11, 1), taps.view(1, 1, 1, 11).expand(12, 1, 1, 11)
    square = taps.outer(taps).expand(12, 1, 11, 11)
    conv = torch.nn.functional.conv2d
    return {
        "shifted sums (with a copy)": lambda: window.means_(planes_HPW.clone()),
        "band products": lambda: banded(planes_HPW, taps),
        "depthwise 11 + 11": lambda: conv(conv(planes_1PHW, down, groups=12), along, groups=12),
        "depthwise 11 x 11": lambda: conv(planes_1PHW, square, groups=12),
    }


def banded(planes_HPW: Tensor, taps: Tensor, block: int = 32) -> Tensor:
    """As matrix products with a band, ``block`` rows or columns of output at a time."""
    halo = len(taps) - 1
    band = torch.zeros(block + halo, block)
    for column in range(block):
        band[column : column + halo + 1, column] = taps
    height, planes, width = planes_HPW.shape
    rows = planes_HPW.view(height, -1)
    columns = torch.empty(height - halo, planes * width)
    for start in range(0, height - halo, block):
        count = min(block, height - halo - start)
        transposed = band[: count + halo, :count].T
        torch.mm(transposed, rows[start : start + count + halo], out=columns[start : start + count])
    columns = columns.view(-1, width)
    means = torch.empty(columns.shape[0], width - halo)
    for start in range(0, width - halo, block):
        count = min(block, width - halo - start)
        source = columns[:, start : start + count + halo]
        torch.mm(source, band[: count + halo, :count], out=means[:, start : start + count])
    return means


def find_peers(folder: Path | None) -> Peers:
    if folder:
        sys.path.append(str(folder))
    found: Peers = {}
    for name, module in {
        "torchmetrics": "torchmetrics.functional.image",
        "piq": "piq",
        "pytorch_msssim": "pytorch_msssim",
    }.items():
        try:
            found[name] = importlib.import_module(module)
        except ImportError as error:
            found |= piq_without_torchvision() if name == "piq" else {}
            print(f"{name}: {error}", file=sys.stderr)
    return found


def piq_without_torchvision() -> Peers:
    """Its ``__init__`` wants torchvision for metrics that are not timed here; load the two files alone."""
    for name in [name for name in sys.modules if name.split(".")[0] == "piq"]:
        del sys.modules[name]
    homes = [str(Path(entry) / "piq") for entry in sys.path if (Path(entry) / "piq/ssim.py").exists()]
    if not homes:
        return {}
    package = types.ModuleType("piq")
    package.__path__ = homes
    sys.modules["piq"] = package
    both = types.SimpleNamespace(
        psnr=importlib.import_module("piq.psnr").psnr, ssim=importlib.import_module("piq.ssim").ssim
    )
    return {"piq": both}


def table(title: str, timed: Timed, seconds: float, images: int = 1) -> None:
    best = dict.fromkeys(timed, float("inf"))
    for function in timed.values():
        function()
    stop = time.perf_counter() + seconds * len(timed)
    while time.perf_counter() < stop:
        for name, function in timed.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    first = next(iter(best.values()))
    view = Table(title=title)
    for heading in ("", "ms per image", "images/s", "first is ... times as fast", "score"):
        view.add_column(heading, justify="left" if heading == "" else "right")
    for name, taken in best.items():
        each, value = taken / images, float(np.ravel(timed[name]())[0])
        view.add_row(name, f"{1e3 * each:.3f}", f"{1 / each:.0f}", f"{taken / first:.2f}", f"{value:.6f}")
    Console(width=110).print(view)


if __name__ == "__main__":
    main()
