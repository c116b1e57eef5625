"""How the learning rate goes over a run, as a factor of its peak; shares of the run, not steps, say where."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.names import unknown

Schedule = Callable[[int, int], float]
"""``schedule(step, total)``: the factor of step 0, 1, ... of ``total``."""

Curve = Callable[[float], float]
"""Factor by the share of the run, 0 to 1."""


def constant() -> Curve:
    """1 all along."""
    return lambda share: 1.0


def cosine(*, final: float = 0.0, cycles: int = 1) -> Curve:
    """From 1 to ``final`` along half a cosine, ``cycles`` times over.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5.
    """
    _require("cosine", final, "final")
    if not isinstance(cycles, int) or cycles < 1:
        raise ValueError(f"schedule cosine: cycles must be a whole number of 1 or more, got {cycles!r}")

    def factor(share: float) -> float:
        place = 1.0 if share >= 1.0 else (share * cycles) % 1.0
        return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * place))

    return factor


def linear_decay(*, start: float = 0.5, final: float = 0.0) -> Curve:
    """1 up to the share ``start``, then straight to ``final`` (pix2pix, DeblurGAN: from the half on)."""
    _require("linear_decay", start, "start")
    _require("linear_decay", final, "final")

    def factor(share: float) -> float:
        gone = (share - start) / (1.0 - start) if start < 1.0 else 0.0
        return 1.0 + (final - 1.0) * min(1.0, max(0.0, gone))

    return factor


def multi_step(*, milestones: Sequence[float], factor: float = 0.5) -> Curve:
    """Times ``factor`` at each of ``milestones``, shares of the run in rising order."""
    _require("multi_step", factor, "factor")
    if list(milestones) != sorted(milestones) or not all(0.0 < each < 1.0 for each in milestones):
        raise ValueError(
            f"schedule multi_step: milestones must rise, each a share of the run between 0 and 1, "
            f"got {list(milestones)}"
        )
    return lambda share: float(factor ** sum(share >= each for each in milestones))


SCHEDULES: dict[str, Callable[..., Curve]] = {
    "constant": constant,
    "cosine": cosine,
    "linear_decay": linear_decay,
    "multi_step": multi_step,
}
"""Each takes keywords; all take ``warm_up`` too, see ``build_schedule``."""


def build_schedule(name: str, arguments: Mapping[str, Any]) -> Schedule:
    """The schedule of this name; ``ValueError`` naming what is unknown or wrong.

    ``warm_up``, among the arguments, is the share of the run over which the rate rises from 0 first;
    the curve is then that of the rest.
    """
    if name not in SCHEDULES:
        raise ValueError(unknown("schedule", name, SCHEDULES))
    given = dict(arguments)
    warm_up = given.pop("warm_up", 0.0)
    _require(name, warm_up, "warm_up")
    try:
        curve = _warmed(SCHEDULES[name](**given), warm_up)
    except TypeError as error:
        raise ValueError(f"schedule {name!r} cannot be built with {given}: {error}") from None
    return lambda step, total: curve(step / total)


def _warmed(curve: Curve, warm_up: float) -> Curve:
    def factor(progress: float) -> float:
        if progress < warm_up:
            return progress / warm_up
        rest = 1.0 - warm_up
        return curve(min(1.0, (progress - warm_up) / rest) if rest else 0.0)

    return factor


def _require(schedule: str, value: Any, name: str) -> None:
    if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise ValueError(f"schedule {schedule}: {name} must be a share from 0 to 1, got {value!r}")
