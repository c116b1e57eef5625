"""Degradations: named lists of operators whose parameters are drawn per image from a seed.

What was drawn is written down as JSON and can be replayed: a degradation with those parameters and the
same seed gives the same pixels.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from models.contract import Condition
from models.names import unknown
from models.operators import OPERATORS
from models.operators.base import LinearOperator, Operator
from models.parameters import Allowed, Odd, OrNothing, PerBand
from pipeline.degradation.presets import PRESETS
from pipeline.degradation.replay import Drawn, Replay, draws_from
from pipeline.errors import JobError
from pipeline.hashing import canonical_json, seed_of
from pipeline.jobs.job import DegradationSpec, OperatorSpec

_UNKNOWN = Condition()


@dataclass(frozen=True)
class Degraded:
    """A degraded image, and how it came to be."""

    image_BCHW: Tensor
    """One image: B is 1. Float, not clipped unless an operator clips."""
    parameters: list[dict[str, Any]]
    """One mapping an operator: its name and its drawn parameters."""
    condition: Condition
    """What a restorer may know of it."""
    replay: Replay | None = None
    """How to degrade another image alike; ``None`` where that is not possible or not known."""


@dataclass(frozen=True)
class Degradation:
    """A chain of operators: ``degradation(image_1CHW, seed)``."""

    name: str
    operators: tuple[OperatorSpec, ...]

    @cached_property
    def scale(self) -> int:
        """How many times smaller the degraded image is."""
        scale = 1
        for operator in self.drawn(0):
            scale *= int(getattr(operator, "scale", 1))
        return scale

    @property
    def makes_guide(self) -> bool:
        """Whether a sharper image of the scene comes of it."""
        return any(hasattr(operator, "guide") for operator in self.drawn(0))

    def specification(self) -> dict[str, Any]:
        """Plain values that decide the pixels: part of the recipe."""
        return {"name": self.name, "operators": [{"op": s.op, **s.parameters} for s in self.operators]}

    def seed(self, job_seed: int, dataset: str, key: str) -> int:
        """The seed of one image: the same on every machine, store and day.

        Out of names, not of URIs or times, so that a copy of the collection degrades alike.
        """
        return seed_of(str(job_seed), dataset, key, canonical_json(self.specification()))

    def __call__(self, image_1CHW: Tensor, seed: int) -> Degraded:
        """Degrades one image whose sides are multiples of ``scale``."""
        noise_variance, mask_1HW = 0.0, None
        parameters: list[dict[str, Any]] = []
        linear: list[LinearOperator] = []
        steps: list[Drawn] = []
        drawn = self.drawn(seed)
        frames_TCHW: Tensor | None = None
        guide_1PHW: Tensor | None = None
        place = 0
        for index, (spec, operator) in enumerate(zip(self.operators, drawn, strict=True)):
            height, width = image_1CHW.shape[-2:]
            recorded = _recorded(operator, height, width, _generator(seed, index))
            parameters.append(recorded | {"op": spec.op})
            own_mask_1HW = None
            if frames_TCHW is not None:
                frames_TCHW = _each_frame(operator, frames_TCHW, seed, index)
            if hasattr(operator, "others"):
                frames_TCHW = operator.others(image_1CHW, _generator(seed, index))
                place = int(getattr(operator, "place", 0))
            if hasattr(operator, "guide"):
                guide_1PHW = operator.guide(image_1CHW, _generator(seed, index))
            if hasattr(operator, "mask"):
                mask_1HW = own_mask_1HW = operator.mask(height, width, _generator(seed, index))
            if hasattr(operator, "drawn"):  # a random kernel: this image's own is a linear operator
                operator = operator.drawn(_generator(seed, index))
            if isinstance(operator, LinearOperator):
                linear.append(operator)
            noise_variance += float(getattr(operator, "noise_level", 0.0)) ** 2
            generator = _generator(seed, index)
            state = generator.get_state()
            image_1CHW = operator(image_1CHW, generator)
            steps.append(Drawn(operator, own_mask_1HW, fixed=not draws_from(generator, state)))
        condition = Condition(
            scale=self.scale,
            noise_level_B=torch.tensor([noise_variance**0.5]) if noise_variance else None,
            mask_B1HW=None if mask_1HW is None else mask_1HW[None].to(image_1CHW.device),
            frames_BTCHW=None if frames_TCHW is None else frames_TCHW[None],
            guide_BPHW=guide_1PHW,
            place=place,
            operators=tuple(linear),
        )
        return Degraded(image_1CHW, parameters, condition, Replay.of(steps))

    def drawn(self, seed: int) -> list[Operator]:
        """The operators of one image, their ranges drawn from its seed."""
        if self._unchanging is not None:
            return self._unchanging
        rng = random.Random(seed)
        return [
            # In order of name: the recipe does not know in which order a job wrote them.
            _build(spec.op, {n: _drawn(spec.op, n, v, rng) for n, v in sorted(spec.parameters.items())})
            for spec in self.operators
        ]

    @cached_property
    def _unchanging(self) -> list[Operator] | None:
        """The operators where none has a range: the same for every image."""
        if any(_is_range(value) for spec in self.operators for value in spec.parameters.values()):
            return None
        return [_build(spec.op, spec.parameters) for spec in self.operators]


def _each_frame(operator: Operator, frames_TCHW: Tensor, seed: int, index: int) -> Tensor:
    """What is done to the image, done to each of its other frames with draws of their own."""
    done: list[Tensor] = []
    for place in range(len(frames_TCHW)):
        rng = torch.Generator().manual_seed(seed_of(str(seed), str(index), str(place)))
        state = rng.get_state()
        done.append(operator(frames_TCHW[place : place + 1], rng))
        if not draws_from(rng, state):  # the same is done to all of them, at once
            done.append(operator(frames_TCHW[place + 1 :], rng))
            break
    return torch.cat(done) if done else frames_TCHW


def build_degradation(spec: DegradationSpec, where: str = "degradation") -> Degradation:
    """The degradation of a job's entry; ``JobError`` names the path, the fault and the cure."""
    if spec.operators is None:
        if spec.name not in PRESETS:
            raise JobError(f"{where}: {unknown('preset', spec.name, PRESETS)}")
        operators = tuple(OperatorSpec(**fields) for fields in PRESETS[spec.name].operators)
        return Degradation(spec.name, operators)
    for index, operator in enumerate(spec.operators):
        _check(operator, f"{where}.operators[{index}]")
    return Degradation(spec.name, spec.operators)


def fixed_operator(spec: OperatorSpec, where: str) -> Operator:
    """The operator of an entry without ranges; ``JobError`` names the path, the fault and the cure."""
    for name, value in spec.parameters.items():
        if _is_range(value) and not _takes_bands(spec.op, name):
            raise JobError(
                f"{where}.{name}: a pair is a range; here it must be one number, got {list(value)}"
            )
    try:
        return _build(spec.op, spec.parameters)
    except ValueError as error:
        raise JobError(f"{where}: {error}") from None


def _takes_bands(name: str, parameter: str) -> bool:
    """Whether several numbers are those of several bands."""
    return isinstance(_allowed(name, parameter), PerBand)


def _allowed(name: str, parameter: str) -> Allowed | None:
    """The values that a parameter may take, where its operator declares them."""
    kind: Any = OPERATORS.get(name)
    fields = {each.name: each for each in dataclasses.fields(kind)} if kind else {}
    return fields[parameter].metadata.get("allowed") if parameter in fields else None


def _check(spec: OperatorSpec, where: str) -> None:
    """Builds the operator at both ends of every range: what holds there is taken to hold between."""
    for name, value in spec.parameters.items():
        if _is_range(value) and value[0] > value[1]:
            raise JobError(f"{where}.{name}: a pair is a range, from low to high; got {list(value)}")
    try:
        low, high = (
            _build(spec.op, {n: v[end] if _is_range(v) else v for n, v in spec.parameters.items()})
            for end in (0, 1)
        )
    except ValueError as error:
        raise JobError(f"{where}: {error}") from None
    if getattr(low, "scale", 1) != getattr(high, "scale", 1):
        raise JobError(f"{where}.scale: must be one number, not a range; write one degradation per scale")


def _build(name: str, parameters: Mapping[str, Any]) -> Operator:
    if name not in OPERATORS:
        raise JobError(unknown("operator", name, OPERATORS))
    try:
        kind: Any = OPERATORS.named(name)
    except ValueError as error:
        raise JobError(str(error)) from error
    fields = {each.name: each for each in dataclasses.fields(kind)}
    for parameter in parameters:
        if parameter not in fields:
            raise JobError(f"{name}: {unknown('parameter', parameter, fields)}")
    if missing := [
        each.name for each in fields.values() if _is_required(each) and each.name not in parameters
    ]:
        raise JobError(f"{name}: give {' and '.join(missing)} too, it has no default")
    try:
        operator: Operator = kind(**{n: _frozen(v) for n, v in parameters.items()})
    except TypeError as error:
        raise JobError(f"{name}: {str(error).split('() ')[-1]}") from error
    return operator


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _recorded(operator: Any, height: int, width: int, rng: torch.Generator) -> dict[str, Any]:
    """The operator and its drawn parameters; of a chain that draws for itself, also what it drew."""
    record = {"op": operator.name, **dataclasses.asdict(operator)}
    if hasattr(operator, "chain"):
        chain = operator.chain(height, width, rng)
        record["chain"] = [_recorded(each, height, width, rng) for each in chain]
    return record


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in value)
    )


def _drawn(name: str, parameter: str, value: Any, rng: random.Random) -> Any:
    if not _is_range(value):
        return value
    low, high = value
    if isinstance(low, int) and isinstance(high, int):
        return rng.randrange(low, high + 1, 2 if _is_odd(name, parameter) else 1)
    return rng.uniform(low, high)


def _is_odd(name: str, parameter: str) -> bool:
    """Whether the even numbers of a range, from one odd number to another, are none of its."""
    allowed = _allowed(name, parameter)
    return isinstance(allowed.allowed if isinstance(allowed, OrNothing) else allowed, Odd)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def _generator(seed: int, index: int) -> torch.Generator:
    """On the CPU whatever the device: a seed means the same pixels on every machine."""
    return torch.Generator().manual_seed(seed_of(str(seed), str(index)))


def as_found(image_1CHW: Tensor, condition: Condition = _UNKNOWN) -> Degraded:
    """An input that nobody here degraded: what was done to it is known by its condition alone."""
    return Degraded(image_1CHW, [], condition, Replay.to_size(*image_1CHW.shape[-2:]))
