from dataclasses import fields

import pytest
import torch
from torch import nn

from models import catalog
from models.card import Card
from models.contract import TENSORS, Condition, RestorerError
from models.noise_level import estimate_noise_level
from models.restorer import Restorer
from pipeline.errors import REASONS
from tests.restorer_contract import CHECKS, condition_for, moved, scene


@pytest.fixture(scope="module", params=catalog.RESTORERS)
def restorer(request):
    """Built once for all that it owes."""
    return catalog.build(request.param)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(restorer, check):
    check(restorer)


def card(**facts):
    return Card(**{"name": "probe", "summary": "A probe.", "task": "general", **facts})


def test_pads_to_the_multiple_and_the_minimum_and_crops():
    seen = []

    def model(image, condition):
        seen.append((tuple(image.shape[-2:]), tuple(condition.mask_B1HW.shape[-2:])))
        return image

    restorer = Restorer(card(multiple_of=8, minimum_size=20), model)
    degraded = scene(1, 13, 26)
    restored = restorer(degraded, condition=Condition(mask_B1HW=torch.ones(1, 1, 13, 26)))
    assert seen == [((24, 32), (24, 32))]
    torch.testing.assert_close(restored, degraded)


def test_value_range_of_the_network_is_met():
    seen = []

    def model(image, condition):
        seen.append((float(image.min()), float(image.max())))
        return image

    degraded = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    restored = Restorer(card(value_range=(-1.0, 1.0)), model)(degraded)
    assert seen == [(-1.0, 1.0)]
    torch.testing.assert_close(restored, degraded)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda image, condition: image[..., 1:], "WRONG_SHAPE"),
        (lambda image, condition: image / 0, "NONFINITE_OUTPUT"),
        (lambda image, condition: torch.full_like(image, 0.3), "IMPLAUSIBLE_OUTPUT"),
        (lambda image, condition: image * 100, "IMPLAUSIBLE_OUTPUT"),
    ],
    ids=["cropped", "infinite", "flat", "exploded"],
)
def test_guard(model, reason):
    with pytest.raises(RestorerError) as error:
        Restorer(card(), model)(scene(3, 16, 16))
    assert error.value.reason == reason
    assert reason in REASONS


def test_a_model_that_works_in_place_leaves_what_it_was_given():
    degraded = scene(3, 16, 16)
    before = degraded.clone()
    restored = Restorer(card(), lambda image, condition: image.mul_(0.5))(degraded)
    assert torch.equal(degraded, before)
    torch.testing.assert_close(restored, before / 2)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_what_a_model_keeps_for_further_calls_is_not_given_away(low):
    degraded, kept = scene(3, 16, 16), []

    def model(image, condition):
        kept[:] = kept or [0.5 * image]
        return kept[0]

    restorer = Restorer(card(value_range=(low, 1.0)), model)
    first = restorer(degraded)
    again = first.clone()
    with torch.inference_mode():
        first.zero_()
    assert torch.equal(restorer(degraded), again)


def test_a_glint_that_a_network_overshoots_costs_no_image():
    def overshooting(by, pixels):
        def model(image, condition):
            restored = image.clone()
            restored[..., 5, :pixels] = 1 + by
            return restored

        return Restorer(card(), model)

    degraded = scene(3, 64, 64)
    assert float(overshooting(1.3, 1)(degraded).max()) == pytest.approx(2.3)
    for by, pixels in ((1.3, 64), (9.0, 1)):
        with pytest.raises(RestorerError, match="values from"):
            overshooting(by, pixels)(degraded)


def test_one_dead_image_of_a_batch_is_noticed():
    def model(image, condition):
        return torch.cat([image[:1], torch.zeros_like(image[1:])])

    with pytest.raises(RestorerError, match="flat"):
        Restorer(card(), model)(scene(3, 16, 16, batch=2))


def test_a_flat_image_may_stay_flat_and_impulses_may_go():
    flat = torch.full((1, 1, 20, 20), 0.4)
    assert torch.equal(Restorer(card(), lambda image, condition: image.clone())(flat), flat)
    flat[..., ::7, ::7] = 1.0
    assert float(catalog.build("median")(flat).max()) == pytest.approx(0.4)


def test_half_precision_fails_over_to_float32():
    class Overflows(nn.Module):
        """A matrix product whose sums exceed bfloat16's precision cannot fail, so it fails by type."""

        def forward(self, image, condition):
            product = image @ torch.eye(image.shape[-1])
            dtypes.append(product.dtype)
            return product if product.dtype == torch.float32 else product * float("inf")

    dtypes = []
    degraded = scene(1, 16, 16)
    restorer = Restorer(card(precisions=("bfloat16", "float32")), Overflows(), precision="bfloat16")
    torch.testing.assert_close(restorer(degraded), degraded)
    assert dtypes == [torch.bfloat16, torch.float32]
    with pytest.raises(ValueError, match="float16 was not measured to be safe; use bfloat16 or float32"):
        Restorer(card(precisions=("bfloat16", "float32")), Overflows(), precision="float16")


def test_a_missing_noise_level_is_estimated():
    clean = scene(3, 96, 96, batch=2)
    noisy = clean + torch.tensor([0.05, 0.15]).reshape(2, 1, 1, 1) * torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(1)
    )
    restorer = catalog.build("wavelet")
    blind = restorer(noisy)
    told = restorer(noisy, condition=Condition(noise_level_B=estimate_noise_level(noisy)))
    assert torch.equal(blind, told)
    for image in range(2):
        assert (blind[image] - clean[image]).square().mean() < 0.5 * (
            noisy[image] - clean[image]
        ).square().mean()


def test_bands_are_restored_one_by_one():
    """A colour network on five bands: what it makes of each as a grey image."""

    class Mixing(nn.Module):
        def forward(self, image, condition):
            return image * condition.noise_level_B.reshape(-1, 1, 1, 1) + image.mean(1, keepdim=True) / 2

    inner = Restorer(card(channels=3, needs=("noise_level",), weights_sha256="0" * 64), Mixing())
    bands = catalog.build_solver("per_band", restorer=inner)
    degraded = scene(5, 16, 12, batch=2)
    levels = torch.tensor([0.25, 0.5])
    restored = bands(degraded, condition=Condition(noise_level_B=levels))
    torch.testing.assert_close(restored, degraded * (levels + 0.5).reshape(2, 1, 1, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", catalog.RESTORERS)
def test_a_gpu_gives_the_same_pixels(name):
    restorer = catalog.build(name)
    degraded = scene(restorer.card.channels or 3, 40, 36, batch=2)
    condition = condition_for(restorer.card, 2, 40, 36)
    expected = restorer(degraded, condition=condition)
    device = torch.device("cuda")
    restored = restorer.to(device)(degraded.to(device), condition=moved(condition, device))
    assert restored.is_cuda
    # Convolutions in TF32 differ by 1e-3; iterations that stop early may stop a step apart.
    # What has a threshold, as BM3D has, may fall to either side of it: few values, by little.
    off = (restored.cpu() - expected).abs().flatten()
    assert float(off.quantile(0.99)) <= 3e-3
    assert float(off.max()) <= (2e-2 if "bm3d" in name else 3e-3)


def test_self_ensemble_turns_with_the_image():
    """The mean over the group commutes with the group, whatever it wraps."""

    class Leaning(nn.Module):
        def forward(self, image, condition):
            return 0.7 * image + 0.3 * image.roll(1, dims=-1) ** 2

    inner = Restorer(card(weights_sha256="0" * 64), Leaning())
    ensemble = catalog.build_solver("self_ensemble", restorer=inner)
    degraded = scene(3, 17, 12)
    plain = inner(degraded)
    assert not torch.allclose(inner(degraded.flip(-1)).flip(-1), plain)
    for turned, back in (
        (lambda x: x.rot90(1, (-2, -1)), lambda x: x.rot90(-1, (-2, -1))),
        (lambda x: x.flip(-2), lambda x: x.flip(-2)),
    ):
        torch.testing.assert_close(back(ensemble(turned(degraded))), ensemble(degraded))
    with pytest.raises(ValueError, match="inverts operators"):
        catalog.build_solver("self_ensemble", restorer="wiener")


@pytest.mark.parametrize("wrapper", ["self_ensemble", "linear_light", "per_band"])
def test_what_wraps_a_restorer_treats_frames_and_guides_as_the_image(wrapper):
    """The image, a frame and a guide are one and the same, so that their mean is each of them."""

    class Mean(nn.Module):
        def forward(self, image, condition):
            shown = image, condition.frames_BTCHW[:, 0], condition.guide_BPHW[:, :1]
            return sum(shown) / 3

    inner = Restorer(card(channels=1, needs=("frames", "guide"), weights_sha256="0" * 64), Mean())
    outer = catalog.build_solver(wrapper, restorer=inner)
    image = scene(1, 16, 12, batch=2)
    told = Condition(frames_BTCHW=image[:, None], guide_BPHW=image)
    torch.testing.assert_close(outer(image, condition=told), image)


def test_every_tensor_of_a_condition_is_among_those_that_change_with_the_batch():
    assert {each.name for each in fields(Condition) if "Tensor" in str(each.type)} == set(TENSORS)
