"""Operators on whole batches, each image with parameters and draws of its own: for training on a device.

``degrade(operators, batch, draws)`` is, with ``HostDraws``, what each operator makes of its image alone, up
to rounding. Adding one: a form here, a line in ``FORMS``; an operator without one is called image by image.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from models.operators.base import Operator
from models.operators.batched import chains, compressing, convolving, hiding, noising, resampling, whole
from models.operators.batched.batch import Batch
from models.operators.batched.draws import CounterDraws, Draws, HostDraws

Apply = Callable[[Sequence[Any], Batch, Draws], Batch]


def _alike(_: Any) -> Hashable:
    return None


@dataclass(frozen=True)
class Form:
    """How an operator is done to a batch."""

    apply: Apply
    groups: Callable[[Any], Hashable] = _alike
    """Operators with equal answers go together."""
    any_size: bool = True
    """Whether images of several sizes may."""


def degrade(operators: Sequence[Operator], batch: Batch, draws: Draws) -> Batch:
    """Each image by its own operator."""
    groups: dict[Hashable, list[int]] = {}
    for index, (operator, size) in enumerate(zip(operators, batch.sizes, strict=True)):
        form = FORMS.get(operator.name, _EACH)
        key = (operator.name, form.groups(operator), None if form.any_size else size)
        groups.setdefault(key, []).append(index)
    if len(groups) == 1:
        return FORMS.get(operators[0].name, _EACH).apply(operators, batch, draws)
    images = batch.images()
    for chosen in groups.values():
        some = [operators[index] for index in chosen]
        part = Batch.joined([images[index] for index in chosen])
        made = FORMS.get(some[0].name, _EACH).apply(some, part, draws.select(chosen))
        for index, image_1CHW in zip(chosen, made.images(), strict=True):
            images[index] = image_1CHW
    return Batch.joined(images)


_EACH = Form(whole.one_by_one)
_BLUR = Form(convolving.blur, attrgetter("border"))
_RESAMPLE = Form(resampling.resample, resampling.grid)
_MASK = Form(hiding.hide)
_CHAIN = Form(partial(chains.run_chains, degrade=degrade))
_SAME = Form(whole.all_at_once, lambda operator: operator, any_size=False)

FORMS: dict[str, Form] = {
    **dict.fromkeys(
        ("bicubic", "bilinear", "lanczos", "area", "nearest", "mtf", "resize", "gaussian_blur"), _RESAMPLE
    ),
    **dict.fromkeys(
        ("anisotropic_gaussian_blur", "generalised_gaussian_blur", "plateau_blur", "sinc", "defocus"), _BLUR
    ),
    "kernel_blur": _BLUR,
    "motion_blur": Form(convolving.shake),
    "gaussian_noise": Form(noising.add_gaussian, attrgetter("grey")),
    "correlated_noise": Form(noising.add_correlated),
    "poisson_noise": Form(noising.add_poisson, attrgetter("grey")),
    "poisson_gaussian_noise": Form(noising.add_poisson_gaussian),
    "speckle": Form(noising.multiply_speckle, attrgetter("domain")),
    "salt_and_pepper": Form(noising.add_impulses),
    "rician_noise": Form(noising.add_rician),
    "stripes": Form(hiding.add_stripes, attrgetter("direction")),
    "haze": Form(hiding.add_haze),
    "tomography": _SAME,
    "jpeg": Form(compressing.code_exactly, attrgetter("subsampling")),
    "jpeg2000": Form(whole.on_host),
    "differentiable_jpeg": Form(compressing.code, attrgetter("subsampling"), any_size=False),
    **dict.fromkeys(
        ("mask", "box_mask", "irregular_mask", "scan_line_gaps", "dead_columns", "clouds"), _MASK
    ),
    "real_esrgan": _CHAIN,
    "bsrgan": _CHAIN,
}
"""Operator -> form. Those left out (of magnetic resonance, ``tomography_noise``, ``burst``) go one by one."""

__all__ = ["FORMS", "Batch", "CounterDraws", "Draws", "Form", "HostDraws", "degrade"]
