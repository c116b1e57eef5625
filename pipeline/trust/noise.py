"""Which noise an image has: what a degradation added, or what a calibration says of a sensor.

Shapes: B batch, C channels, H and W height and width. Values: fractions of the value range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from models.risk import cut_moments, sensor_variance, uncut
from models.uncensored import Uncensored, uncensored
from pipeline.trust.evidence import LEVELS

Bands = float | tuple[float, ...]
_STEPS = 4096
"""Values of the range that moments are worked out for."""


@dataclass(frozen=True)
class NoiseMoments:
    """Each B111, where it is the same everywhere, or BCHW."""

    variance: Tensor
    square: Tensor
    """Mean of the square about the truth: more than the variance where the range cuts the noise off."""
    bias: Tensor | None = None
    """Mean of the noise about the truth, which a restorer takes for the image; ``None``: zero."""
    truth: Uncensored | None = None
    """Of noise that the range cuts off, at a level that was given: see ``models.uncensored``."""


@dataclass(frozen=True)
class NoiseModel:
    """Gaussian noise of a level that each image has for itself; with ``gain``, a sensor's noise."""

    gain: Bands | None = None
    """Value of one electron, one number or one per band; ``None``: Gaussian noise."""
    sigma: Bands = 0.0
    """Read noise of a sensor in 1/255 of the range."""

    @classmethod
    def of(cls, operators: Sequence[Mapping[str, Any]]) -> Self | None:
        """What a degradation of these operators and parameters adds; ``None`` where it does anything else."""
        if len(operators) != 1 or operators[0].get("grey"):
            return None
        parameters = operators[0]
        if parameters["op"] == "gaussian_noise":
            return cls()
        if parameters["op"] == "poisson_noise":
            return cls(gain=1 / parameters["photons"])
        if parameters["op"] == "poisson_gaussian_noise":
            return cls(_bands(parameters["gain"]), _bands(parameters["sigma"]))
        return None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Back from ``record``."""
        return cls(_bands(record["gain"]), _bands(record["sigma"])) if "gain" in record else cls()

    def record(self) -> dict[str, Any]:
        """Plain values, for a calibration."""
        if self.gain is None:
            return {"model": "gaussian"}
        return {"model": "poisson-gaussian", "gain": self.gain, "sigma": self.sigma}

    def moments(
        self, noisy_BCHW: Tensor, restored_BCHW: Tensor, level_B: Tensor, *, given: bool = False
    ) -> NoiseMoments:
        """Of the noise about the truth. ``level_B`` counts for Gaussian noise alone.

        Where the level is ``given`` there is a truth as well: an error of an estimated level would be in it.
        """
        if self.gain is not None:
            gain, sigma = (_per_band(each, noisy_BCHW) for each in (self.gain, self.sigma))
            variance = sensor_variance(noisy_BCHW.double(), gain, sigma / LEVELS)
            return NoiseMoments(variance, variance)
        level_B111 = level_B.double()[:, None, None, None].to(noisy_BCHW.device)
        if bool((noisy_BCHW < 0).any()) or bool((noisy_BCHW > 1).any()):
            return NoiseMoments(level_B111.square(), level_B111.square())
        # By a table: moments of every pixel would take as long as the restorer.
        steps_B11N = torch.linspace(0, 1, _STEPS).to(level_B111).expand(len(noisy_BCHW), 1, 1, _STEPS)
        truth_B11N = uncut(steps_B11N, level_B111)
        index_BK = (restored_BCHW.clamp(0, 1) * (_STEPS - 1)).round().long().flatten(1)
        tables = (*cut_moments(truth_B11N, level_B111), steps_B11N - truth_B11N, truth_B11N)
        variance, square, bias, guess = (
            each.flatten(1).gather(1, index_BK).view_as(noisy_BCHW) for each in tables
        )
        truth = uncensored(noisy_BCHW, guess, level_B) if given else None
        return NoiseMoments(variance, square, bias, truth)


def _bands(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _per_band(value: Bands | None, image_BCHW: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device=image_BCHW.device).reshape(-1, 1, 1)
