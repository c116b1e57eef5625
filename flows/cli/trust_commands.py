"""Commands about how far results can be trusted: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import Output, Profile
from pipeline.wording import number_of


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
        typer.Option("--level", help="Share of images whose PSNR is no lower than their floor: 0.9, 0.95."),
    ] = 0.9,
    profile: Profile = None,
) -> None:
    """Turn a benchmark into a calibration: what puts a floor under the PSNR of images without a reference.

    The benchmark needs `psnr_estimate = true`, the metric psnr, and noise as the archive has it. Give the
    file to `restora restore --calibration`, or lay it beside the weights.
    """
    from flows.addresses import open_output
    from flows.cli.console import say
    from pipeline.results.calibrate import calibrate as calibrate_run
    from pipeline.trust.calibration import CONDITION, ENDING

    found = calibrate_run(open_output(out, profile), restorer, level)
    file = file or Path(f"{found.restorer}{ENDING}")
    file.write_bytes(found.to_json())
    images = number_of(found.images, "image")
    say(f"{found.restorer}: {images}, level {found.level:g}, noise level {found.seen.known}")
    for each in found.strata:
        say(f"  noise {each.noise_low:.1f} to {each.noise_high:.1f} of 255: {number_of(each.images, 'row')}")
    for nominal, covered in found.reliability:
        say(f"  level {nominal:g}: {covered:.3f} of held-out images are covered")
    if found.slack >= 0:
        say(f"  at level {level:g} floors lie {found.slack:.2f} dB below the truth on average")
    say(f"calibration  {file}; it {CONDITION}")
