"""Scores a denoiser on whole photographs: ``python -m pipeline.training.score WEIGHTS FOLDER``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from models.restorer import Condition
from models.weights import build_restorer, load_weights
from pipeline.training.data import read_photographs
from pipeline.training.validation import validate


def main(
    weights: Annotated[Path, typer.Argument(help="safetensors file with a card.")],
    folder: Annotated[Path, typer.Argument(help="Photographs.")],
    sigma: Annotated[list[float], typer.Option(help="Noise levels in 8-bit levels.")] = [15, 25, 50],  # noqa: B006
) -> None:
    """Prints PSNR in dB for each photograph and their mean: AWGN not clipped, output rounded to 8 bits."""
    try:
        card, state = load_weights(weights)
        restorer = build_restorer(card, state)
        photographs = read_photographs(folder, card.channels or 3)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None

    def denoise(noisy_BCHW: Tensor, level_B: Tensor) -> Tensor:
        return restorer(noisy_BCHW, condition=Condition(noise_level_B=level_B))

    typer.echo(f"{card.name} {card.weights_sha256}")
    for name, pixels_HWC in photographs.items():
        _line(name, validate(denoise, {name: pixels_HWC}, tuple(sigma)))
    _line("mean", validate(denoise, photographs, tuple(sigma)))


def _line(name: str, scores: dict[str, float]) -> None:
    typer.echo(f"{name:20}" + "".join(f"  {level:>3}: {score:6.3f}" for level, score in scores.items()))


if __name__ == "__main__":
    typer.run(main)
