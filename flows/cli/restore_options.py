"""Options of commands that restore: what is known of the images, and how far each result is to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from flows.cli.arguments import HoleColour

NoiseLevel = Annotated[
    float | None,
    typer.Option(
        "--noise-level",
        help="Known noise, in 1/255 of the value range. Without it: estimated from each image.",
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        "--mask",
        metavar="WHAT",
        help="Which pixels are holes to fill: nodata, alpha, scan_lines, dead_columns, dust, a mask "
        "file (0: a hole) or a folder of masks with the names of the images.",
    ),
]
Holes = Annotated[
    HoleColour,
    typer.Option("--holes", help="Which pixels of mask files are holes: black, 0, or white, all others."),
]
Kernel = Annotated[
    str | None,
    typer.Option(
        "--kernel",
        metavar="WHAT",
        help="What blurred the images: a kernel file (.npy, .txt, .csv, an image), a folder of kernels "
        "with the names of the images, an operator: defocus:radius=3, mtf:scale=1,mtf=0.25, or blind, "
        "blind_defocus, blind_motion: found in each image; one that does not tell it is left as it is.",
    ),
]
Guide = Annotated[
    str | None,
    typer.Option(
        "--guide",
        metavar="WHAT",
        help="A sharper image of the same scene: a file, a folder of guides with the names of the images, or "
        "numbers of bands of the images themselves: 1,2,3.",
    ),
]
CalibrationFile = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="FILE_OR_URL",
        help="What `restora calibrate` wrote for this restorer: each image gets a floor under its PSNR, or "
        "with --uncertainty or --flags what they ask for (and a floor with --floors).",
    ),
]
UncertaintyName = Annotated[
    str | None,
    typer.Option(
        "--uncertainty",
        metavar="NAME",
        help="Intervals about pixels, by one of `restora list uncertainties`: self_ensemble (seven more "
        "calls), posterior (one more, for denoisers) or quantile_head (one more, for networks that have "
        "one). Needs a --calibration with them.",
    ),
]
Floors = Annotated[
    bool,
    typer.Option(
        "--floors", help="Floors under the PSNR beside --uncertainty or --flags, for one more call."
    ),
]
Needed = Annotated[
    float | None,
    typer.Option(
        "--psnr-needed",
        metavar="DB",
        help="What images should have at least: those whose floor is lower are counted. Without it: 30.",
    ),
]
Flags = Annotated[
    bool,
    typer.Option(
        "--flags",
        help="Count patches that hold what their input does not support. Needs a --calibration with flags.",
    ),
]
SaveUncertainty = Annotated[
    bool,
    typer.Option("--save-uncertainty", help="Keep the half-widths as images in DEST/_restora/uncertainty."),
]


FrameRule = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="RULE",
        help="Which files are frames of one scene: a regular expression for the path below SOURCE, as in "
        r"'(?P<scene>.+)_(?P<t>\d+)\.tif'; or pages, those of a file. The first is restored.",
    ),
]
Around = Annotated[
    int | None,
    typer.Option(
        "--around",
        min=1,
        max=16,
        metavar="N",
        help="With --group: each frame is restored, by the N before and the N after it.",
    ),
]


@dataclass(frozen=True)
class Known:
    """What is known of the images."""

    noise_level: NoiseLevel = None
    mask: Mask = None
    holes: Holes = HoleColour.BLACK
    kernel: Kernel = None
    guide: Guide = None

    def of_dataset(self) -> dict[str, Any]:
        """Fields of a job's dataset."""
        from flows.addresses import mask_of

        return {"mask": mask_of(self.mask, self.holes.value), "operators": self.kernel, "guide": self.guide}


@dataclass(frozen=True)
class Frames:
    """Frames of one scene, for restorers that take several."""

    group: FrameRule = None
    around: Around = None

    def of_dataset(self) -> dict[str, Any]:
        """Fields of a job's dataset."""
        if self.around is None:
            return {"group": self.group}
        if self.group is None:
            raise typer.BadParameter(
                "say which files are frames of one scene: --group", param_hint="--around"
            )
        return {"group": {"match": self.group, "around": self.around}}


@dataclass(frozen=True)
class Trust:
    """How far each result is to be trusted, though it has no reference."""

    calibration: CalibrationFile = None
    uncertainty: UncertaintyName = None
    floors: Floors = False
    psnr_needed: Needed = None
    flags: Flags = False
    save_uncertainty: SaveUncertainty = False

    def of_job(self) -> dict[str, Any]:
        """Fields of a job; ``uncertainty`` is its restorer's."""
        return {
            "calibration": self.calibration,
            "psnr_estimate": self.floors,
            **({} if self.psnr_needed is None else {"psnr_needed": self.psnr_needed}),
            "flags": self.flags,
            "save_uncertainty": self.save_uncertainty,
        }
