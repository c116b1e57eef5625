"""Attribution, receptive field and activations against networks whose answers are known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import catalog
from models.card import Card
from models.contract import RestorerError
from models.insight.activations import activations_of, layers_of, network_of
from models.insight.attribution import SIGMA, Attribution, attribute
from models.insight.blur_path import blurred
from models.insight.receptive_field import effective_receptive_field, radius_holding
from models.insight.targets import TARGETS, Region
from models.insight.tracing import trace
from models.networks import NetworkModel, build_network
from models.restorer import Restorer
from tests.restorer_contract import scene

KERNEL = torch.rand(1, 1, 5, 5, generator=torch.Generator().manual_seed(0)) - 0.3


class Linear(nn.Module):
    def forward(self, image_BCHW):
        return F.conv2d(image_BCHW, KERNEL, padding=2)


def linear():
    card = Card(name="linear", summary="A kernel.", task="general", channels=1, halo=2)
    return Restorer(card, NetworkModel(Linear()))


def test_attribution_and_field_of_a_linear_network_are_its_kernel():
    image_1CHW = scene(1, 21, 26)
    restored = trace(linear(), image_1CHW)
    made = attribute(restored, image_1CHW, lambda out: TARGETS["level"](Region(12, 10, 1, 1)(out)))
    gained = image_1CHW - blurred(image_1CHW, SIGMA)
    expected_CHW = torch.zeros(1, 21, 26)
    expected_CHW[:, 8:13, 10:15] = KERNEL[0] * gained[0, :, 8:13, 10:15]
    torch.testing.assert_close(made.share_CHW.float(), expected_CHW, rtol=0, atol=1e-6)
    assert made.error < 1e-4
    field_HW = effective_receptive_field(restored, image_1CHW, 10, 12)
    torch.testing.assert_close(field_HW[8:13, 10:15], KERNEL[0, 0].abs())
    assert field_HW.count_nonzero() == 25
    assert radius_holding(field_HW, 10, 12, 1.0) == 2


def test_shares_add_up_to_what_changed_within_a_thousandth():
    restorer, region, image_1CHW = catalog.build("srvgg-x2"), Region(12, 12, 8, 8), scene(3, 16, 16)
    made = attribute(trace(restorer, image_1CHW), image_1CHW, lambda out: TARGETS["detail"](region(out)))
    assert made.error <= 1e-3
    assert made.share_CHW.abs().sum() > 0


@pytest.mark.parametrize("of", ["detail", "level"])
@pytest.mark.parametrize("contrast", [0.003, 1.0], ids=["flat", "textured"])
def test_shares_of_flat_and_textured_regions_add_up_and_each_step_is_told(contrast, of):
    restorer, region = catalog.build("ffdnet-grey"), Region(8, 8, 8, 8)
    noise = 0.01 * torch.randn(1, 1, 24, 24, generator=torch.Generator().manual_seed(1))
    image_1CHW = 0.4 + contrast * (scene(1, 24, 24) + noise - 0.4)
    told = []
    made = attribute(
        trace(restorer, image_1CHW),
        image_1CHW,
        lambda out: TARGETS[of](region(out)),
        lambda step, missed: told.append((step, missed)),
    )
    assert made.error <= 1e-3
    assert [step for step, _ in told[:24]] == [*range(1, 25)]
    assert [missed for _, missed in told[:24]] == [None] * 24
    assert told[-1] == (made.steps, pytest.approx(made.error, abs=1e-9))


def test_blur_along_the_path_is_gaussian_and_ends_at_the_image():
    image_1CHW = torch.zeros(1, 1, 41, 41)
    image_1CHW[..., 20, 20] = 1
    radius = torch.arange(-20, 21).float()
    line_W = torch.exp(-0.5 * (radius / 2.5) ** 2) / (2.5 * (2 * torch.pi) ** 0.5)
    torch.testing.assert_close(blurred(image_1CHW, 2.5)[0, 0], line_W[:, None] * line_W, rtol=0, atol=1e-6)
    assert torch.equal(blurred(image_1CHW, 0), image_1CHW)
    assert blurred(scene(3, 9, 70), 17).shape == (1, 3, 9, 70)


def test_the_diffusion_index_tells_one_pixel_from_all():
    one = torch.zeros(1, 10, 10)
    one[0, 3, 4] = 1
    assert Attribution(one, 1.0, 1).diffusion == pytest.approx(1.0)
    assert Attribution(torch.full((1, 10, 10), -2.0), 1.0, 1).diffusion == pytest.approx(100)


def test_activations_are_those_of_the_layer_by_name():
    network = build_network("srvgg", {"channels": 1, "features": 4, "layers": 2, "scale": 2})
    card = Card(name="small", summary="Small.", task="super-resolution", channels=1, scale=2, halo=4)
    restorer, image_1CHW = Restorer(card, NetworkModel(network)), scene(1, 12, 12)
    restored, inner = trace(restorer, image_1CHW), network_of(restorer)
    assert layers_of(inner, restored, image_1CHW) == [*(f"body.{i}" for i in range(6)), "tail"]
    with torch.no_grad():
        expected_CHW = network.body[:3](image_1CHW)[0]
    found_CHW = activations_of(inner, restored, image_1CHW, "body.2")
    torch.testing.assert_close(found_CHW, expected_CHW, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r'layer "body.22" gives pictures; did you mean "body.2"'):
        activations_of(inner, restored, image_1CHW, "body.22")


def test_a_restorer_without_gradients_is_refused_with_the_cure():
    card = Card(name="closed", summary="Closed.", task="general")
    restorer = Restorer(card, lambda image_BCHW, _: torch.from_numpy(image_BCHW.detach().numpy() / 2))
    with pytest.raises(RestorerError, match=r"closed: no gradient comes back .* another restorer"):
        trace(restorer, scene(3, 16, 16))
    assert network_of(restorer) is None
