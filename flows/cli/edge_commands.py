"""Commands that make restorers fit for small machines: export and compress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.compress_options import Measuring, Relearning
from flows.cli.option_groups import spread

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
    too: `restora restore SOURCE DEST --restorer NAME.onnx`. Needs the extra onnx (pip).
    """
    from flows.cli.console import say, working
    from pipeline.edge.export import export as write

    with working(f"exporting {weights}; deep networks take a minute"):
        done = write(weights, to, file, precision)
    say(f"exported {done.file}  ({done.size / 1e6:.2f} MB)")
    say(f"checked  differs from PyTorch by {done.difference:.1e} at most, of a range of 1")


@spread
def compress(
    weights: Weights,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="URL",
            help="Clean images, a folder or URL: int8 takes ranges from them, the others train on them.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The file to write. Without it, here: NAME-int8.onnx, NAME-pruned.safetensors, "
            "NAME-student.safetensors.",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="METHOD", help="int8, prune or distil; see above.")
    ] = "int8",
    measuring: Measuring = Measuring(),  # noqa: B008 - frozen
    relearning: Relearning = Relearning(),  # noqa: B008 - frozen
) -> None:
    """Make a restorer smaller and faster, with what that loses and gains on this machine.

    int8: numbers of 8 bits, as ONNX, by the extra onnx of pip; with --minutes it learns to bear them. prune:
    the least important channels are cut out, what is left is trained on. distil: a smaller network learns
    from WEIGHTS. What loses too much or is no faster is not written, and the figures say so; a training that
    was stopped goes on. The file runs as others: `restora restore SOURCE DEST --restorer FILE`.
    """
    from contextlib import nullcontext

    from flows.cli.console import say, working
    from flows.cli.signals import asked_to_stop
    from flows.cli.training_session import show_progress
    from pipeline.edge.compress import compress as write
    from pipeline.edge.compress import retrains

    retraining = relearning.asked
    # What trains nothing asks nobody, and ends at once.
    stoppable = asked_to_stop() if retrains(method, retraining) else nullcontext(lambda: False)
    with stoppable as stopping, working(f"{weights}: {method}"):
        done = write(
            weights,
            method,
            measuring.on(data),
            file,
            measuring.limits,
            retraining,
            on_progress=show_progress(),
            stopping=stopping,
        )
    say(f"compressed {done.file}  ({done.size / 1e6:.2f} MB); {done.what}")
    say(f"loss       {done.loss:.3f} dB: PSNR {done.after:.2f}, before {done.before:.2f}")
    where = "float32" if done.beside_pytorch is None else "float32 in onnxruntime"
    beside = "" if done.beside_pytorch is None else f", {done.beside_pytorch:.2f} x PyTorch"
    say(f"speed      {done.speedup:.2f} x {where}{beside}, on this machine")
    if retraining is not None and measuring.validate is None:
        say("measured   on images that it was trained on; give others with --validate", style="yellow")
