"""Commands about how far results can be trusted: calibrate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import Output, Profile
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.trust.calibration import Calibration
    from pipeline.trust.intervals import IntervalBounds

Say = Callable[[str], None]
_PLENTY = 100
"""Images: from there on the bound on what intervals miss is no longer mostly that of the small number."""


def calibrate(
    out: Output,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The file to write. Without it: RESTORER.calibration.json, here."
        ),
    ] = None,
    restorer: Annotated[
        str | None,
        typer.Option("--restorer", metavar="NAME", help="Which of the benchmark's restorers."),
    ] = None,
    level: Annotated[
        float,
        typer.Option(
            "--level",
            help="Share of images whose PSNR is no lower than their floor, and of calibrations whose "
            "intervals hold.",
        ),
    ] = 0.9,
    profile: Profile = None,
) -> None:
    """Turn a benchmark into a calibration: what images without a reference get floors and intervals by.

    For floors under the PSNR the benchmark needs `psnr_estimate = true`, the metric psnr, and noise as the
    archive has it; for intervals about pixels a restorer with `uncertainty`; for flags `flags = true`. Give
    the file to `restora restore --calibration`, or lay it beside the weights.
    """
    from flows.addresses import open_output
    from flows.cli.console import say
    from pipeline.results.calibrate import calibrate as calibrate_run
    from pipeline.storage.output_file import check_output_file, write_output
    from pipeline.trust.calibration import CONDITION, ENDING

    if file is not None:
        check_output_file(file, ".json")
    found = calibrate_run(open_output(out, profile), restorer, level)
    file = file or Path(f"{found.restorer}{ENDING}")
    write_output(file, found.to_json())
    if found.has_floors:
        _say_floors(found, say)
    if found.intervals is not None:
        _say_intervals(found.intervals, say)
    if found.flags is not None:
        images = number_of(found.flags.images, "image")
        say(f"flags: {images}; at most {found.flags.rate:.0%} of images like these have one for nothing")
    say(f"calibration  {file}; it {CONDITION}")


def _say_intervals(found: IntervalBounds, say: Say) -> None:
    low, high = found.spread
    say(
        f"intervals by {found.method}: {number_of(found.images, 'image')}, half-widths {found.scale:.3g} x "
        f"spread, on average {255 * found.scale * low:.1f} to {255 * found.scale * high:.1f} of 255 by image"
    )
    say(f"  at most {found.alpha:g} of samples outside, for {1 - found.delta:g} of calibrations")
    if found.held_out >= 0:
        say(
            f"  calibrated by half of them, {found.held_out:.3f} are outside on the others: fewer images "
            "make wider intervals"
        )
    if found.images < _PLENTY:
        say(f"  give it {_PLENTY} images and more: by so few they are wider than they need be")


def _say_floors(found: Calibration, say: Say) -> None:
    images = number_of(found.images, "image")
    say(f"{found.restorer}: {images}, level {found.level:g}, noise level {found.seen.known}")
    for each in found.strata:
        say(f"  noise {each.noise_low:.1f} to {each.noise_high:.1f} of 255: {number_of(each.images, 'row')}")
    for nominal, covered in found.reliability:
        say(f"  level {nominal:g}: {covered:.3f} of held-out images are covered")
    if found.slack >= 0:
        say(f"  at level {found.level:g} floors lie {found.slack:.2f} dB below the truth on average")
