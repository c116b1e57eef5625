"""A calibration: what a benchmark says of the estimates of one restorer, and for which images it says it.

A small JSON file that vouches for itself: it holds the digest of its own content, so that one that was edited
or damaged is refused. What its bounds promise is in ``CONDITION``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pipeline.hashing import canonical_json, sha256_hex
from pipeline.trust.evidence import LOCAL, REFINED, WHOLE, Evidence
from pipeline.trust.flags import FlagBounds
from pipeline.trust.intervals import IntervalBounds
from pipeline.trust.seen_inputs import SeenInputs

FORMAT = 1
ENDING = ".calibration.json"
"""Beside weights, in place of their own ending."""
CONDITION = (
    "holds for images that are exchangeable with those of the calibration: drawn as they were, from the same "
    "sensor, subjects and noise; over calibrations and images, not for each image"
)
"""What every bound rests on, in a sentence; printed wherever one is."""


@dataclass(frozen=True)
class Stratum:
    """Images of one span of noise levels: each has a bound of its own, which pooled ones would not keep."""

    noise_low: float
    """1/255 of the range, as measured on the images; a level between two strata belongs to the lower one."""
    noise_high: float
    images: int
    quantile: float
    """Of (truth - estimate) / standard error: what a floor adds to an estimate, in standard errors."""


@dataclass(frozen=True)
class Seen:
    """The span of the calibration's images. Outside it nothing is promised."""

    known: str
    """As ``Evidence.known``."""
    bands: tuple[int, ...]
    dtypes: tuple[str, ...]
    samples: tuple[int, int]
    """Least and most valid samples."""
    brightness: tuple[float, float]
    saturated: float
    """Largest share of saturated samples."""


@dataclass(frozen=True)
class Calibration:
    """Bounds at one level for one restorer. ``floor(evidence, ...)`` is all that a run asks of it."""

    restorer: str
    restorer_sha256: str
    precision: str
    degradations: tuple[Mapping[str, Any], ...]
    noise: Mapping[str, Any]
    """The model of the noise: ``gaussian``, or a sensor's ``gain`` and ``sigma``."""
    level: float
    images: int
    seen: Seen
    strata: tuple[Stratum, ...]
    reliability: tuple[tuple[float, float], ...]
    """(Level, share of held-out images whose truth is no lower than their bound), by splits of the images."""
    slack: float
    """Mean of truth less bound, in dB, over the same splits at ``level``."""
    recipe_id: str
    """Of the benchmark."""
    code_version: str
    intervals: IntervalBounds | None = None
    """``None``: of a benchmark whose restorer had no ``uncertainty``."""

    flags: FlagBounds | None = None
    """``None``: of a benchmark without ``flags``."""

    estimator: int = WHOLE
    """As ``Evidence.estimator``: of what its quantiles are."""

    @property
    def has_floors(self) -> bool:
        """Whether it is of a benchmark with estimates of the PSNR."""
        return bool(self.strata)

    @property
    def digest(self) -> str:
        """SHA-256 of the content, 64 hex digits."""
        return sha256_hex(canonical_json(_plain(self)).encode())

    def floor(self, evidence: Evidence, bands: int, dtype: str) -> tuple[float | None, str | None]:
        """The lower bound on the image's PSNR in dB, or why there is none."""
        reason = self.refusal(evidence, bands, dtype)
        if reason is not None:
            return None, reason
        evidence = evidence.by(self.estimator)
        stratum = [each for each in self.strata if each.noise_low <= evidence.noise_level][-1:]
        found = stratum[0] if stratum else self.strata[0]
        return evidence.psnr + found.quantile * evidence.standard_error, None

    def refusal(self, evidence: Evidence, bands: int, dtype: str) -> str | None:
        """Why the calibration says nothing of an image; a code, then words."""
        seen = self.seen
        if evidence.known != seen.known:
            return f"NOISE_KNOWLEDGE: its noise level is {evidence.known}, in the calibration {seen.known}"
        if evidence.noise_level == 0:
            return "NOISE_LEVEL: 0.0/255, and without noise there is nothing to estimate from"
        inputs = SeenInputs(
            bands=seen.bands,
            dtypes=seen.dtypes,
            samples=seen.samples,
            brightness=seen.brightness,
            noise=(self.strata[0].noise_low, self.strata[-1].noise_high),
            saturated=seen.saturated,
        )
        return inputs.outside(evidence, bands, dtype)

    def to_json(self) -> bytes:
        """The file."""
        return json.dumps({"digest": self.digest, **_plain(self)}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Back from ``to_json``. ``ValueError`` for what is no calibration, of another version or changed."""
        try:
            fields = json.loads(data)
            if fields.pop("format") != FORMAT:
                raise ValueError("it is of another version; calibrate again")
            digest = fields.pop("digest")
            intervals, flags = fields.pop("intervals", None), fields.pop("flags", None)
            found = cls(
                **fields
                | {
                    "seen": Seen(**{name: _tuple(each) for name, each in fields["seen"].items()}),
                    "strata": tuple(Stratum(**each) for each in fields["strata"]),
                    "degradations": tuple(fields["degradations"]),
                    "reliability": tuple(_tuple(each) for each in fields["reliability"]),
                    "intervals": intervals and IntervalBounds.from_record(intervals),
                    "flags": flags and FlagBounds.from_record(flags),
                }
            )
            same, is_known = found.digest == digest, found.estimator in (WHOLE, LOCAL, REFINED)
        except (AttributeError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
            raise ValueError("it is no calibration; write one with restora calibrate") from None
        if not same:
            raise ValueError("it was changed or damaged since it was written; calibrate again")
        if not is_known:
            raise ValueError(
                "it is of estimates that this version makes in another way; run its benchmark and restora "
                "calibrate again"
            )
        return found

    def named(self, restorer: str) -> Self:
        """The same under another name of the restorer."""
        return replace(self, restorer=restorer)


def _plain(calibration: Calibration) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **asdict(calibration)}))
    # Files of before there were these keep their digest.
    late = {"intervals": None, "flags": None, "estimator": WHOLE}
    return {name: value for name, value in plain.items() if name not in late or value != late[name]}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
