"""Commands that make restorers fit for small machines: export and compress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str,
    typer.Argument(
        metavar="WEIGHTS",
        help="A restorer: a name of `restora list restorers`, or the path or URL of weights.",
    ),
]


def export(
    weights: Weights,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The file to write. Without it: NAME.onnx, here.")
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="onnx is the one there is.")] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            "--precision", metavar="TYPE", help="float32, or float16: half the file, not faster on CPUs."
        ),
    ] = "float32",
) -> None:
    """Write a restorer's network for machines without PyTorch, its card and tiling inside.

    Batch, height and width stay free. The file is compared with PyTorch before it is written, and runs here
    too: `restora restore SOURCE DEST --restorer NAME.onnx`. Needs `pip install 'restora[onnx]'`.
    """
    from flows.cli.console import say, working
    from pipeline.edge.export import export as write

    with working(f"exporting {weights}; deep networks take a minute"):
        done = write(weights, to, file, precision)
    say(f"exported {done.file}  ({done.size / 1e6:.2f} MB)")
    say(f"checked  differs from PyTorch by {done.difference:.1e} at most, of a range of 1")


def compress(
    weights: Weights,
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="URL", help="Clean images to calibrate and measure on: a folder, a URL."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file to write. Without it: NAME-int8.onnx, here."),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="int8 is the one there is.")
    ] = "int8",
    degradation: Annotated[
        str | None,
        typer.Option(
            "--degradation",
            metavar="NAME",
            help="What is done to the images first; see `restora list degradations`. Without it: bicubic for "
            "what enlarges, awgn-25 for denoisers.",
        ),
    ] = None,
    images: Annotated[int, typer.Option("--images", min=1, help="How many images, the first of DATA.")] = 8,
    side: Annotated[
        int, typer.Option("--side", min=32, help="Only the middle so many pixels of each.")
    ] = 256,
    most_loss: Annotated[
        float,
        typer.Option("--most-loss", metavar="DB", help="Most PSNR that may be lost, mean over the images."),
    ] = 0.1,
    least_speedup: Annotated[
        float, typer.Option("--least-speedup", metavar="X", help="Least gain over float32 on this machine.")
    ] = 1.05,
) -> None:
    """Write a restorer's network in int8, with what that loses and gains on this machine.

    Layers at both ends stay float32 as long as too much is lost. Where int8 loses too much or is no faster,
    the figures say so and nothing is written. Needs `pip install 'restora[onnx]'`; the file runs as others:
    `restora restore SOURCE DEST --restorer NAME-int8.onnx`.
    """
    from flows.cli.console import say, working
    from pipeline.edge.compress import Images, Limits
    from pipeline.edge.compress import compress as write

    with working(f"{weights} in {method}: exporting, calibrating, measuring"):
        chosen = Images(data, degradation, images, side)
        done = write(weights, method, chosen, file, Limits(most_loss, least_speedup))
    say(f"compressed {done.file}  ({done.size / 1e6:.2f} MB); {done.layers} layers int8, {done.kept} float32")
    say(f"loss       {done.loss:.3f} dB: PSNR {done.after:.2f}, float32 {done.before:.2f}")
    beside = "" if done.beside_pytorch is None else f", {done.beside_pytorch:.2f} x PyTorch"
    say(f"speed      {done.speedup:.2f} x float32 in onnxruntime{beside}, on this machine")
