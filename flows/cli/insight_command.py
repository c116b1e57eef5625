"""The command that shows why an image was restored as it was: explain."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.arguments import HoleColour
from flows.cli.option_groups import spread
from flows.cli.restore_options import Known
from pipeline.addresses import redacted

Image = Annotated[str, typer.Argument(metavar="IMAGE", help="One image on this disk, as it is restored.")]
Page = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The page to write. Without it: IMAGE.RESTORER.html, here."),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X,Y,W,H",
        help="Left, top, width and height in pixels of the restored image. Without it: where the restorer "
        "changed the image most.",
    ),
]
Of = Annotated[
    str,
    typer.Option(
        "--of",
        metavar="WHAT",
        help="What of the region is explained: detail, its edges and texture; level, how bright it is.",
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="NAME",
        help="Whose channels are shown; the page lists all. Without it: the middle one of the network.",
    ),
]


@spread
def explain(
    weights: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS",
            help="A restorer: a name of `restora list restorers`, or the path or URL of weights.",
        ),
    ],
    image: Image,
    file: Page = None,
    region: Region = None,
    of: Of = "detail",
    layer: Layer = None,
    known: Known = Known(),  # noqa: B008 - frozen
    private: Annotated[
        bool | None,
        typer.Option("--private/--not-private", help="DICOM and NIfTI must be declared --not-private."),
    ] = None,
) -> None:
    """Show what a region of a restored image was made of, how far the network looks, and a layer's channels.

    Writes one page: which input pixels the region is due to (integrated gradients along blur), the effective
    receptive field at its middle, the channels of a layer. Works for any network, your own too, and for
    solvers that are written in PyTorch.
    """
    from flows.addresses import absolute, restorer_of
    from flows.cli.console import say
    from flows.cli.explain_progress import explaining
    from pipeline.errors import JobError
    from pipeline.explain import Asked, explain_to_page
    from pipeline.jobs.job import Job
    from pipeline.storage.patterns import only
    from pipeline.storage.scratch import scratch

    path = Path(image)
    if not path.is_file():
        raise JobError(f"IMAGE: {image}: no such file on this disk")
    if private:
        raise JobError("--private: a page of pixels would show who it is; explain images that may be shown")
    chosen = restorer_of(weights, known.noise_level)
    target = file or Path(f"{path.stem}.{chosen['name']}.html")
    options = {"--region": region, "--layer": layer, "--noise-level": known.noise_level}
    options |= {"--mask": known.mask, "--of": of if of != "detail" else None, "--kernel": known.kernel}
    options |= {"--guide": known.guide}
    options |= {"--holes": known.holes.value if known.mask and known.holes is not HoleColour.BLACK else None}
    dataset: dict[str, Any] = {"name": "source", "uri": str(path.parent), "pattern": only(path.name)}
    dataset |= {"private": private} | known.of_dataset()
    with scratch("explain") as place:
        fields = {"name": "explain", "kind": "restore", "output": str(place)}
        job = Job.parse(fields | {"datasets": [dataset], "restorers": [chosen]}, where="explain")
        with explaining(image) as on_step:
            asked, command = Asked(region, of, layer), _command(weights, image, options)
            found = explain_to_page(absolute(job), asked, target, command, on_step)
    say(f"page     {target}")
    half, most, _ = found.radii
    say(f"looks    half of it within {half} pixels, 95 % within {most}; card: {found.halo}")
    made = found.attribution
    say(f"shares   diffusion index {made.diffusion:.1f}; they add up within {made.error:.1e}")


def _command(weights: str, image: str, options: dict[str, Any]) -> str:
    """As it may be shown on the page: the address of weights can hold a signature."""
    words = ["restora", "explain", weights, image]
    for name, value in options.items():
        words += [] if value is None else [name, str(value)]
    return shlex.join(map(redacted, words))
