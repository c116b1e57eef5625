"""Loss and speed of a compressed restorer, beside what it was made from."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from models.card import Card
from models.edge.onnx_export import probe
from models.restorer import Restorer
from pipeline.degradation.degradation import build_degradation
from pipeline.edge.compressed import Images, named_by_option, usual_degradation
from pipeline.errors import JobError
from pipeline.jobs.specs import DegradationSpec
from pipeline.training.recipe.sections import Validation
from pipeline.training.validation.restorer import RestorerValidation
from pipeline.training.world import World

SPEED_SIDE, ROUNDS = 256, 7
_IMAGES = "validation.datasets"
"""The field by which a validation names images that it cannot use."""


def scorer_of(images: Images, card: Card) -> Callable[[Restorer], float]:
    """Mean PSNR over the images, by the degradation, call and metric of a benchmark."""
    spec = DegradationSpec(name=images.degradation or usual_degradation(card))
    degradation = build_degradation(spec, "--degradation")
    uri, option = images.validate or images.uri, "--data" if images.validate is None else "--validate"
    settings = Validation.model_validate(
        {
            "datasets": [{"name": "images", "uri": uri}],
            "metrics": ("psnr",),
            "images": images.count,
            "side": images.side,
            "samples": 1,
        }
    )
    with named_by_option(_IMAGES, f"{option}: {uri}"):
        validate = RestorerValidation(
            settings, (degradation,), channels=card.channels or 3, seed=0, world=World()
        )

    def score(restorer: Restorer) -> float:
        found = validate(restorer)
        if not found.scores or not found.scores[0].values:
            why = "; ".join(f"{name}: {fault}" for name, fault in list(found.errors.items())[:3])
            raise JobError(f"{option}: {uri}: no image could be scored. {why}")
        return found.scores[0].mean

    return score


def measured_speedup(plain: Restorer, light: Restorer) -> float:
    """How many times faster the second is, by the median of turns on one image.

    With one thread by its processor time, which what else runs on the machine does not lengthen.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    image_BCHW, condition = probe(plain.card, 1, SPEED_SIDE, SPEED_SIDE, seed=1)
    ratios = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for each in (plain, light):
            started = clock()
            each(image_BCHW, condition=condition)
            seconds.append(clock() - started)
        ratios.append(seconds[0] / seconds[1])
    return round(statistics.median(ratios[1:]), 2)
