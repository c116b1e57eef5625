"""Degradations of a batch: what each does to an image alone, and what may be known of it."""

import pytest
import torch

from pipeline.degradation.batched import counter_draws, degrade_batch, host_draws
from pipeline.degradation.degradation import build_degradation
from pipeline.jobs.job import DegradationSpec, OperatorSpec
from tests.operator_contract import random_image

SEEDS = [7, 2**40 + 1, 12, 5]


def chain(name, *operators):
    return build_degradation(
        DegradationSpec(name=name, operators=tuple(OperatorSpec(**each) for each in operators))
    )


NOISY = chain(
    "noisy", {"op": "gaussian_blur", "sigma": [0.5, 2.0]}, {"op": "gaussian_noise", "sigma": [5, 50]}
)
SHAKEN = chain("shaken", {"op": "motion_blur", "length": [5.0, 20.0]}, {"op": "jpeg", "quality": [30, 90]})
HOLES = chain("holes", {"op": "mask", "share": [0.1, 0.3]}, {"op": "gaussian_noise", "sigma": 3})


@pytest.mark.parametrize("degradations", [[NOISY], [NOISY, SHAKEN], [HOLES], [HOLES, NOISY]])
def test_a_batch_is_degraded_as_each_image_alone(degradations):
    image_BCHW = random_image(4, 3, 40, 40)
    made_BCHW, condition = degrade_batch(degradations, image_BCHW, SEEDS, host_draws)
    alone = [
        degradations[seed % len(degradations)](image_BCHW[index : index + 1], seed)
        for index, seed in enumerate(SEEDS)
    ]
    torch.testing.assert_close(made_BCHW, torch.cat([each.image_BCHW for each in alone]), rtol=0, atol=1e-5)
    levels = [each.condition.noise_level_B for each in alone]
    expected = torch.cat([torch.zeros(1) if level is None else level for level in levels])
    assert torch.equal(condition.noise_level_B, expected)
    masks = [each.condition.mask_B1HW for each in alone]
    if any(mask is None for mask in masks):
        assert condition.mask_B1HW is None
    else:
        assert torch.equal(condition.mask_B1HW, torch.cat(masks))


def test_counters_give_noise_of_the_level_that_is_told():
    image_BCHW = random_image(4, 3, 64, 64)
    made_BCHW, condition = degrade_batch(
        [chain("noise", {"op": "gaussian_noise", "sigma": [5, 50]})],
        image_BCHW,
        SEEDS,
        counter_draws(torch.device("cpu")),
    )
    found = (made_BCHW - image_BCHW).std(dim=(1, 2, 3))
    torch.testing.assert_close(found, condition.noise_level_B, rtol=0.05, atol=0)
