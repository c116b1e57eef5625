"""Operators on batches: each image as its operator makes it alone, and draws that know no batch."""

from __future__ import annotations

import math

import pytest
import torch

from models.operators import OPERATORS
from models.operators.batched import FORMS, Batch, CounterDraws, HostDraws, degrade
from models.operators.batched.convolving import blur
from models.operators.batched.philox import philox, unit
from models.operators.batched.resampling import resample
from tests.models.test_operators import EXAMPLES, build
from tests.operator_contract import random_image, seeded

OTHERS: dict[str, dict] = {
    "bilinear": {"scale": 4},
    "lanczos": {"scale": 2},
    "nearest": {"scale": 2},
    "mtf": {"scale": 2, "mtf": (0.2, 0.3, 0.4)},
    "correlated_noise": {"sigma": 50},
    "generalised_gaussian_blur": {"sigma_x": 1.0, "sigma_y": 1.5, "size": 9},
    "plateau_blur": {"sigma_x": 0.6, "sigma_y": 1.0, "size": 7},
    "sinc": {"cutoff": 1.0, "size": 13},
    "defocus": {"radius": 2.0},
    "kernel_blur": {"values": ((0.0,) * 5, (0.0, 1.0, 2.0, 3.0, 0.0), *((0.0,) * 5,) * 3)},
    "poisson_gaussian_noise": {"gain": 0.002, "sigma": (1.0, 2.0, 3.0)},
    "salt_and_pepper": {"share": 0.3, "salt": 0.9},
    "rician_noise": {"sigma": 30.0},
    "jpeg": {"quality": 70, "subsampling": "4:4:4"},
    "scan_line_gaps": {"share": 0.1},
    "dead_columns": {"share": 0.3, "direction": "rows"},
    "clouds": {"share": 0.2},
    "burst": {"frames": 2},
}
"""A second set of parameters for operators that have one example: no batch of equals."""


def instances(name: str) -> list:
    parameters = [each for other, each in EXAMPLES if other == name]
    return [build(name, each) for each in [*parameters, OTHERS.get(name, parameters[0])]]


LARGE_LAUNCHES = [*sorted(name for name, form in FORMS.items() if form.apply in (resample, blur)), "bsrgan"]
"""Images of several sizes share one canvas, but on a CPU, where that is slower."""


@pytest.mark.parametrize("name", LARGE_LAUNCHES)
def test_a_batch_of_several_sizes_on_one_canvas_is_its_images_one_by_one(name, monkeypatch):
    for module in ("resampling", "convolving"):
        place = f"models.operators.batched.{module}.is_slower_together"
        monkeypatch.setattr(place, lambda batch: False)  # as on a device
    check_batch(name)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_a_batch_is_its_images_one_by_one(name):
    check_batch(name)


def check_batch(name: str) -> None:
    operators = instances(name) * 2
    # Inside a chain values are rounded to 8 bits, where the last bit of float32 would become a level.
    dtype = torch.float64 if name in ("real_esrgan", "bsrgan") else torch.float32
    images = [
        random_image(1, 3, *((64, 64) if index % 2 else (48, 80)), dtype=dtype, seed=index)
        for index in range(len(operators))
    ]
    before = [image.clone() for image in images]
    draws = HostDraws([seeded(index) for index in range(len(operators))])
    made = degrade(operators, Batch.joined(images), draws).images()
    for index, (operator, image_1CHW) in enumerate(zip(operators, images, strict=True)):
        alone_1CHW = operator(before[index], seeded(index))
        torch.testing.assert_close(made[index], alone_1CHW, rtol=0, atol=1e-5)
        assert torch.equal(image_1CHW, before[index]), "the input was changed"


def test_every_form_is_of_an_operator_and_the_others_are_known():
    assert set(OPERATORS) - set(FORMS) == {
        "mr_motion",
        "kspace_undersampling",
        "tomography_noise",
        "burst",
        "clip",
        "panchromatic",
    }
    assert set(FORMS) <= set(OPERATORS)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    def tensors(values):
        return tuple(torch.tensor([value]) for value in values)

    assert tuple(int(each) for each in philox(tensors(counter), tensors(key))) == words


def field(draws, kind: str, batch: Batch) -> torch.Tensor:
    if kind == "gamma":
        return draws.gamma(batch, [0.5, 4.4])
    if kind == "poisson":
        return draws.poisson(batch.with_pixels(batch.image_BCHW * 0 + batch.column([3.0, 500.0])))
    return getattr(draws, kind)(batch)


MOMENTS = {
    "normal": ((0.0, 0.0), (1.0, 1.0)),
    "uniform": ((0.5, 0.5), (1 / 12, 1 / 12)),
    "gamma": ((0.5, 4.4), (0.5, 4.4)),
    "poisson": ((3.0, 500.0), (3.0, 500.0)),
}
"""Mean and variance of each of two samples."""


@pytest.mark.parametrize("kind", MOMENTS)
def test_counters_draw_the_distributions_of_generators(kind):
    batch, cpu = Batch.of(torch.zeros(2, 3, 80, 80)), torch.device("cpu")
    by_counter = field(CounterDraws([11, 12], cpu), kind, batch)
    by_generator = field(HostDraws([seeded(1), seeded(2)]), kind, batch)
    count = by_counter[0].numel()
    for own, other, mean, variance in zip(by_counter, by_generator, *MOMENTS[kind], strict=True):
        for drawn in (own, other):
            assert abs(float(drawn.mean()) - mean) < 4 * math.sqrt(variance / count)
            assert float(drawn.var()) == pytest.approx(variance, rel=0.08)
        # Kolmogorov and Smirnov: the two samples are of one distribution.
        values = torch.cat([own.flatten(), other.flatten()]).unique()
        shares = [
            torch.searchsorted(each.flatten().sort().values, values, right=True) / count
            for each in (own, other)
        ]
        assert float((shares[0] - shares[1]).abs().max()) < 1.95 * math.sqrt(2 / count)


def test_a_counters_values_are_the_samples_own_whatever_batch_and_canvas_they_are_in():
    cpu = torch.device("cpu")
    batch = Batch.joined([torch.zeros(1, 3, 6, 7), torch.zeros(1, 3, 9, 5)])
    draws = CounterDraws([5, 2**63 + 9], cpu)
    together = [draws.normal(batch), draws.normal(batch)]
    assert not torch.equal(together[0], together[1])
    alone = CounterDraws([2**63 + 9], cpu)
    for field_BCHW in together:
        assert torch.equal(field_BCHW[1:, :, :9, :5], alone.normal(Batch.of(torch.zeros(1, 3, 9, 5))))


def test_no_uniform_word_is_an_end():
    ends = unit(torch.tensor([0, 2**32 - 1]))
    assert 0 < float(ends[0]) < float(ends[1]) < 1
