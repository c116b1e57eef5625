"""Commands that make restorers fit for small machines: export."""

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
) -> None:
    """Write a restorer's network for machines without PyTorch, its card and tiling inside.

    Batch, height and width stay free. The file is compared with PyTorch before it is written, and runs here
    too: `restora restore SOURCE DEST --restorer NAME.onnx`. Needs `pip install 'restora[onnx]'`.
    """
    from flows.cli.console import OUT, say
    from pipeline.edge.export import export as write

    with OUT.status(f"exporting {weights}; deep networks take a minute"):
        done = write(weights, to, file)
    say(f"exported {done.file}  ({done.size / 1e6:.2f} MB)")
    say(f"checked  differs from PyTorch by {done.difference:.1e} at most, of a range of 1")
