"""Options of ``restora compress``, by what they are for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.edge.compressed import Images, Limits, Retraining


@dataclass(frozen=True)
class Measuring:
    """What it is measured on, and what it may lose."""

    degradation: Annotated[
        str | None,
        typer.Option(
            "--degradation",
            metavar="NAME",
            help="What is done to the images it is measured on; see `restora list degradations`. Without it: "
            "bicubic for what enlarges, awgn-25 for denoisers.",
        ),
    ] = None
    validate: Annotated[
        str | None,
        typer.Option("--validate", metavar="URL", help="Images to measure on; without it those of DATA."),
    ] = None
    images: Annotated[int, typer.Option("--images", min=1, help="Measured on the first so many.")] = 8
    side: Annotated[
        int, typer.Option("--side", min=32, help="Measured on the middle so many pixels of each.")
    ] = 256
    most_loss: Annotated[
        float | None,
        typer.Option(
            "--most-loss",
            metavar="DB",
            help="Most PSNR that may be lost, mean over the images; without it 0.1 for int8, else 0.2.",
        ),
    ] = None
    least_speedup: Annotated[
        float, typer.Option("--least-speedup", metavar="X", help="Least gain over float32 on this machine.")
    ] = 1.05

    def on(self, data: str) -> Images:
        """The images, those of ``data`` where no others are named."""
        from pipeline.edge.compressed import Images

        return Images(data, self.degradation, self.images, self.side, self.validate)

    @property
    def limits(self) -> Limits:
        """What it may lose and has to gain."""
        from pipeline.edge.compressed import Limits

        return Limits(self.most_loss, self.least_speedup)


@dataclass(frozen=True)
class Relearning:
    """How what is smaller learns, for the methods that train."""

    keep: Annotated[
        float | None,
        typer.Option(
            "--keep", metavar="SHARE", help="prune, distil: of the channels of every layer; without it 0.5."
        ),
    ] = None
    importance: Annotated[
        str | None,
        typer.Option(
            "--importance", metavar="RULE", help="prune: channels by taylor (the loss) or l1 (size)."
        ),
    ] = None
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Of training; without it 20, for int8 none.")
    ] = None
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="The same in steps.")] = None
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="A value of the recipe, such as network.arguments.layers=6; repeat it.",
        ),
    ] = None
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, cuda ... to train on; else the best.")
    ] = None
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="To train with; else all cores.")
    ] = None

    @property
    def asked(self) -> Retraining | None:
        """Nothing where none of it was said; ``JobError`` for what cannot be."""
        from pipeline.edge.compressed import retraining_of

        return retraining_of(**asdict(self) | {"sets": tuple(self.sets or ()) or None})
