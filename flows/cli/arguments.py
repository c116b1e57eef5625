"""Arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.run import Options


class EngineName(StrEnum):
    """What runs the work."""

    AUTO = "auto"
    RAY = "ray"
    LOCAL = "local"


class HoleColour(StrEnum):
    """What means a hole in a mask."""

    BLACK = "black"
    WHITE = "white"


class SeriesPolicy(StrEnum):
    """How the images of a DICOM series belong together."""

    STACK = "stack"
    TOGETHER = "together"
    SINGLE = "single"


Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="local: one worker, in this process. ray: several, here or on a cluster. auto: local, and ray "
        "once more than half a minute is left; ray at once with an address, several workers or several GPUs.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="A running Ray cluster to join. Without it: RAY_ADDRESS if it is set, else Ray starts here.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, metavar="N", help="How many workers. Without it: one per GPU, or one per core."
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", help="Take only the first N images of the listing."),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Profile of the credentials file, for s3:// addresses."),
]
Pattern = Annotated[
    str,
    typer.Option(
        "--pattern",
        metavar="GLOB",
        help="Which files of SOURCE, by name or by path below it: '*.png', '2024/*'.",
    ),
]
Private = Annotated[
    bool | None,
    typer.Option(
        "--private/--not-private",
        help="Whether names and headers may identify a person. DICOM and NIfTI need one of the two.",
    ),
]
Series = Annotated[
    SeriesPolicy,
    typer.Option(
        "--series",
        help="DICOM series. stack: slices of one volume, whole or not at all. together: whole or not at all, "
        "at any position. single: each image alone.",
    ),
]
OutputFormat = Annotated[
    str | None,
    typer.Option(
        "--output-format",
        metavar="FORMAT",
        help="png, tiff, ...; see `restora list formats`. Without it: the format of each source.",
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="NAME",
        help="How images are kept in SOURCE: tar, ...; see `restora list stores`. Without it: as the address "
        "says, else a folder.",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Write over files in DEST that no run of restora wrote there."),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder (a path or any fsspec URL such as s3://bucket/scans), or one image on this disk.",
    ),
]
Destination = Annotated[
    str,
    typer.Argument(
        metavar="DEST",
        help="The folder to write to: a path or any fsspec URL; for one image also the name of a file.",
    ),
]
Output = Annotated[
    str,
    typer.Argument(
        metavar="OUT", help="The output folder of a run: `output` of the job, or DEST of restore or degrade."
    ),
]


@dataclass(frozen=True)
class Running:
    """How to run it."""

    engine: Engine = EngineName.AUTO
    ray_address: RayAddress = None
    workers: Workers = None

    def options(self, *, limit: int | None = None, retry: bool = False, repair: bool = False) -> Options:
        """As ``pipeline.run`` takes it."""
        from pipeline.run import Options

        return Options(
            engine=self.engine.value,
            ray_address=self.ray_address,
            workers=self.workers,
            limit=limit,
            retry=retry,
            repair=repair,
        )


@dataclass(frozen=True)
class Images:
    """Which images."""

    pattern: Pattern = "*"
    private: Private = None
    profile: Profile = None


@dataclass(frozen=True)
class Collection(Images):
    """Which images of SOURCE, and how they are written."""

    store: Store = None
    series: Series = SeriesPolicy.STACK
    output_format: OutputFormat = None
    overwrite: Overwrite = False
