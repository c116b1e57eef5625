"""The command that fits weights to an archive."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import Images
from flows.cli.option_groups import spread


class AdaptationLoss(StrEnum):
    """What is learnt from noisy images alone."""

    SURE = "sure"
    RECORRUPTED = "recorrupted"
    NEIGHBOR2NEIGHBOR = "neighbor2neighbor"
    NOISE2VOID = "noise2void"


class AdaptedWeights(StrEnum):
    """What of the network changes."""

    GAINS = "gains"
    ALL = "all"


@spread
def adapt(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="A shipped denoiser's name, or a safetensors file.")
    ],
    source: Annotated[str, typer.Argument(metavar="ARCHIVE", help="Its images: a path or any fsspec URL.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Without it: WEIGHTS-adapted.safetensors, here."),
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.05, help="At most.")] = 10.0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Instead of minutes; repeats exactly.")
    ] = None,
    loss: Annotated[
        AdaptationLoss,
        typer.Option("--loss", help="sure and recorrupted know noise that neighbours share, others do not."),
    ] = AdaptationLoss.SURE,
    what: Annotated[
        AdaptedWeights, typer.Option("--weights", help="gains: one for each channel. all: every weight.")
    ] = AdaptedWeights.GAINS,
    images: Images = Images(),  # noqa: B008 - frozen
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another one draws other tiles.")] = 0,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda ...; else the best.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Else all cores.")] = None,
) -> None:
    """Fit a denoiser to the noise of an archive, without any clean image.

    The noise is measured where the images are flat. A quarter of their squares of 128 x 128 pixels is held
    out: by Stein's estimate of the error there it ends early, and what did not help is undone. FILE is then
    the weights as they were.
    """
    from flows.cli.console import say
    from flows.cli.training_session import with_threads
    from pipeline.jobs.job import Dataset
    from pipeline.recipe.weights import file_name
    from pipeline.training.adaptation.adapt import Settings
    from pipeline.training.adaptation.archive import adapt_to_archive

    with_threads(threads)
    dataset = Dataset(name="archive", uri=source, **asdict(images))
    out = out or Path(f"{file_name(weights).removesuffix('.safetensors')}-adapted.safetensors")
    settings = Settings(minutes, loss.value, what.value, seed, steps)
    adapted, count = adapt_to_archive(
        weights,
        dataset,
        out,
        settings,
        device=device,
        on_look=lambda done, gain: say(f"step {done:,}: {gain:+.2f} dB on held-out tiles, estimated"),
    )
    say(f"noise    {adapted.noise.words()}, from {count} images")
    if adapted.kept:
        say(f"gained   {adapted.gain_db:.2f} dB on held-out tiles, estimated; {adapted.steps:,} steps")
    else:
        say(f"undone   nothing that is sure was gained in {adapted.steps:,} steps: the weights are as before")
    say(f"weights  {out}")
