"""How estimates and floors are made, in words and numbers: for the metadata of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.trust.calibration import CONDITION, Calibration
from pipeline.trust.evidence import LOCAL, REFINED, WHOLE
from pipeline.trust.flags import PROMISE as FLAG_PROMISE
from pipeline.trust.intervals import PROMISE

_FORMULA = (
    "-10 log10 of the mean squared error over valid samples of the restored image, before it is rounded, as "
    "estimated from the input: {way}; the divergence is that of one random perturbation of a tenth of the "
    "noise level; where all samples lie in the range, noise counts as cut off at its ends"
)
FORMULAS = {
    WHOLE: _FORMULA.format(
        way="Stein's unbiased risk; where the noise level is itself estimated, half-way between that and "
        "noise level squared times divergence"
    ),
    LOCAL: _FORMULA.format(
        way="in squares of 32 pixels, of 16 where the noise level is itself estimated, Stein's unbiased risk "
        "as far as it stands out of chance, or is the smaller part, and noise level squared times "
        "divergence for the rest"
    ),
}
FORMULAS[REFINED] = (
    f"{FORMULAS[LOCAL]}; an estimated noise level is measured where the restored image is flat, and weighed "
    "against the energy of what the restorer took away, over one less its slope, in the quietest fine band"
)
"""By ``Evidence.estimator``."""
SOURCE = (
    "Stein 1981; Ramani, Blu and Unser 2008; Efron 2011 (Tweedie's formula); James and Stein 1961; "
    "Cochran 1954"
)
FLOOR = (
    "psnr_estimate plus quantile times standard error; the quantile is that of (PSNR - estimate) / standard "
    "error over the calibration's images of like noise, rank floor((1 - level) (n + 1)); rows of one of "
    "the n images count in equal parts"
)


def estimate_protocol(calibration: Calibration | None) -> dict[str, Any]:
    """Plain values; those of the floor where there is a calibration."""
    way = REFINED if calibration is None or not calibration.has_floors else calibration.estimator
    estimate = {"formula": FORMULAS[way], "source": SOURCE, "unit": "dB"}
    if calibration is None or not calibration.has_floors:
        return {"psnr_estimate": estimate}
    floor = {
        "formula": FLOOR,
        "source": "Vovk, Gammerman and Shafer 2005; Lei et al. 2018 (normalised split conformal prediction)",
        "condition": f"the bound {CONDITION}",
        "level": calibration.level,
        "images": calibration.images,
        "reliability": [list(each) for each in calibration.reliability],
        "slack": None if calibration.slack < 0 else calibration.slack,
        "strata": [
            {"noise": [each.noise_low, each.noise_high], "rows": each.images, "quantile": each.quantile}
            for each in calibration.strata
        ],
        "calibration": calibration.digest,
        "benchmark": calibration.recipe_id,
        "unit": "dB",
    }
    return {"psnr_estimate": estimate, "psnr_floor": floor}


INTERVAL = (
    "restored ± scale x spread, in fractions of the data range; the spread is that of the method, see "
    "docs/trust.md; stored maps hold half-widths in stored steps, whole ones rounded up"
)


def interval_protocol(methods: Mapping[str, str | None], calibration: Calibration | None) -> dict[str, Any]:
    """Plain values of intervals; ``methods`` by restorer."""
    known = {"formula": INTERVAL, "methods": {name: each for name, each in methods.items() if each}}
    bounds = calibration.intervals if calibration is not None else None
    if calibration is None or bounds is None:
        return {"uncertainty": known}
    promise = PROMISE.format(alpha=bounds.alpha, certainty=1 - bounds.delta)
    return {
        "uncertainty": known
        | {
            "source": "Bates et al. 2021 (risk-controlling prediction sets, Hoeffding-Bentkus or betting)",
            "condition": f"{promise} {CONDITION}",
            "alpha": bounds.alpha,
            "delta": bounds.delta,
            "scale": bounds.scale,
            "images": bounds.images,
            "held_out": None if bounds.held_out < 0 else bounds.held_out,
            "calibration": calibration.digest,
            "benchmark": calibration.recipe_id,
        }
    }


FLAGS = (
    "patches of 16 x 16 input pixels of which one of two scores is above its bound: the largest mean, over "
    "windows of 3, 5, 9 and 15 pixels, of the restored image degraded again less the input, in standard "
    "deviations of that mean of noise of the input's level; and the energy of what shrinking the restored "
    "image loses over that of the input's finest octave"
)


def flag_protocol(calibration: Calibration | None) -> dict[str, Any]:
    """Plain values of flags."""
    bounds = calibration.flags if calibration is not None else None
    if calibration is None or bounds is None:
        return {"flags": {"formula": FLAGS}}
    return {
        "flags": {
            "formula": FLAGS,
            "condition": f"{FLAG_PROMISE.format(rate=bounds.rate)} {CONDITION}",
            "source": "Vovk, Gammerman and Shafer 2005 (split conformal prediction), half of the rate each",
            "rate": bounds.rate,
            "residual": bounds.residual,
            "detail": bounds.detail,
            "images": bounds.images,
            "calibration": calibration.digest,
            "benchmark": calibration.recipe_id,
        }
    }
