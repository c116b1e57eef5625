"""Scores a denoiser on whole photographs: ``python -m pipeline.training.score WEIGHTS FOLDER``.

The protocol of docs/weights.md: noise in float and not clipped, its true level given, output rounded and
clipped to 8 bits, no border cut. ``restora benchmark`` has the other degradations and metrics.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Generator, Tensor

from models.contract import Condition
from models.restorer import Restorer
from models.weights import build_restorer, load_weights
from pipeline.jobs.job import Dataset
from pipeline.training.data.collection import read_collection
from pipeline.training.data.pictures import span_of


def psnr(restored_BCHW: Tensor, reference_BCHW: Tensor) -> float:
    """In dB over all channels, after rounding and clipping to 8 bits; the data range is 255."""
    restored = (restored_BCHW * 255.0).round().clamp(0, 255).double()
    error = float((restored - (reference_BCHW * 255.0).round().double()).square().mean())
    return 10.0 * math.log10(255.0**2 / error) if error else math.inf


def noisy(name: str, clean_BCHW: Tensor, sigma: float) -> Tensor:
    """Gaussian noise of ``sigma`` 8-bit levels, not clipped, whose seed comes from ``name`` and ``sigma``."""
    seed = hashlib.sha256(f"{name} {sigma:g}".encode()).digest()[:8]
    rng = Generator().manual_seed(int.from_bytes(seed, "little") >> 1)
    return clean_BCHW + torch.randn(clean_BCHW.shape, generator=rng) * (sigma / 255.0)


def scores(restorer: Restorer, images: Mapping[str, Tensor], sigmas: list[float]) -> dict[str, float]:
    """Mean PSNR in dB over the images (1CHW in [0, 1]), by noise level in 8-bit levels."""
    found = {}
    for sigma in sigmas:
        condition = Condition(noise_level_B=torch.tensor([sigma / 255.0]))
        each = [
            psnr(restorer(noisy(name, clean, sigma), condition=condition), clean)
            for name, clean in images.items()
        ]
        found[f"{sigma:g}"] = sum(each) / len(each)
    return found


def main(
    weights: Annotated[Path, typer.Argument(help="safetensors file with a card.")],
    folder: Annotated[Path, typer.Argument(help="Photographs.")],
    sigma: Annotated[list[float], typer.Option(help="Noise levels in 8-bit levels.")] = [15, 25, 50],  # noqa: B006
) -> None:
    """Prints PSNR in dB for each photograph and their mean."""
    try:
        card, state = load_weights(weights)
        restorer = build_restorer(card, state)
        images = _images(folder, card.channels or 3)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    typer.echo(f"{card.name} {card.weights_sha256}")
    for name, image in images.items():
        _line(name, scores(restorer, {name: image}, sigma))
    _line("mean", scores(restorer, images, sigma))


def _images(folder: Path, channels: int) -> dict[str, Tensor]:
    datasets = [Dataset(name="photographs", uri=str(folder))]
    found = read_collection(datasets, channels=channels, smallest=1, most_bytes=1e10, most_pixels=10**8)
    pictures = [found.picture(number) for number in range(len(found.names))]
    return {
        each.name.partition("/")[2]: torch.from_numpy(each.pixels_HWC.copy()).permute(2, 0, 1)[None].float()
        / span_of(each.pixels_HWC)
        for each in pictures
    }


def _line(name: str, found: dict[str, float]) -> None:
    typer.echo(f"{name:20}" + "".join(f"  {level:>3}: {score:6.3f}" for level, score in found.items()))


if __name__ == "__main__":
    typer.run(main)
