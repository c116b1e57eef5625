"""What an image's own pixels say of its error: the numbers behind an estimate and a floor, in its row."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Self

LEVELS = 255.0
_LEAST_ERROR = 0.3
"""Decibels that an estimate is off by whatever the noise: what one perturbation leaves, and the network."""
_LEAST_ERROR_WHOLE = 0.1
_MOST_ERROR = 3.0
_LEAST_RISK = 1e-10
"""Mean squared error of an image that is right: no estimate is beyond 100 dB."""
_BLIND_POWER = -0.125
"""Of the error in units of the noise: how far an estimate may be off where the level is itself estimated.
Of photographs, where less is left an estimate is off by more, and floors of this power lay nearest."""
WHOLE, LOCAL, REFINED = 1, 4, 5
"""How the parts become an estimate: over the whole image, as in calibrations of before; square by square; or
so at a level that was estimated and weighed against what the restorer took away
(``models.residual_noise_level``). 2 and 3 were other ways to do that."""


@dataclass(frozen=True)
class Evidence:
    """Of one image x restorer, over valid pixels; fractions of the value range unless they say otherwise."""

    known: str
    """Where the variance of the noise is from: ``given``, ``estimated``, or the ``sensor``'s model."""
    noise_level: float
    """In 1/255 of the range: what was told or found; of a sensor, the root of the mean variance."""
    excess: float
    """See ``models.risk.Risk``."""
    spread: float
    samples: int
    """Valid pixels times bands."""
    brightness: float
    """Mean of the input."""
    saturated: float
    """Share of the input's samples at the ends of the range, where noise was cut off."""
    error: float | None = None
    """See ``models.local_risk.LocalRisk``; ``None`` in rows of before it."""
    chance: float | None = None
    """Likewise."""
    local: int | None = None
    """``LOCAL`` or ``REFINED`` where the two are of its squares; ``None``, or others, in rows of before."""

    @property
    def estimator(self) -> int:
        """``WHOLE``, ``LOCAL`` or ``REFINED``."""
        return self.local if self.local in (LOCAL, REFINED) else WHOLE

    def by(self, estimator: int) -> Self:
        """The same with the estimate that a calibration was made of."""
        return self if estimator != WHOLE else replace(self, error=None, chance=None, local=None)

    @property
    def risk(self) -> float:
        """Estimate of the mean squared error.

        Over the whole image it is Stein's unbiased one where the noise is known; where its level is
        estimated, half-way between Stein's and the posterior one, which minds an error of the level far less
        (``models.risk.Risk``). Never below what chance alone leaves of it: of a smooth image with little
        error the squares may say nothing or less, and the whole says how little anybody can know.
        """
        if self.error is not None and self.estimator != WHOLE:
            return max(self.error, self._chance, self._whole_chance, _LEAST_RISK)
        share = 0.5 if self.known == "estimated" else 1.0
        return max(share * self.excess + (1 + share) * self.spread, self._chance)

    @property
    def psnr(self) -> float:
        """The estimate in dB."""
        return -10 * math.log10(self.risk)

    @property
    def standard_error(self) -> float:
        """Of ``psnr``, in dB: what the noise's own energy, known only on average, adds to it by chance.

        The energy of n samples is off by ``variance sqrt(2 / n)``; square by square less of it counts. Where
        the level is estimated that is little beside the level's own error: calibrations of before count all
        images alike, later ones give more where less of the noise is left.
        """
        if self.known == "estimated":
            left = self.risk / (self.noise_level / LEVELS) ** 2
            return left**_BLIND_POWER if self.estimator == REFINED else 1.0
        decibels = 10 / math.log(10) * self._chance / self.risk
        least = _LEAST_ERROR if self.estimator != WHOLE else _LEAST_ERROR_WHOLE
        return min(math.hypot(least, decibels), _MOST_ERROR)

    @property
    def _chance(self) -> float:
        """Standard deviation of what the noise's own energy adds to the estimate."""
        if self.chance is not None and self.estimator != WHOLE:
            return self.chance
        return self._whole_chance

    @property
    def _whole_chance(self) -> float:
        """Likewise, where all squares count in full."""
        return (self.noise_level / LEVELS) ** 2 * math.sqrt(2 / self.samples)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Back from ``to_json``."""
        return cls(**json.loads(text))
