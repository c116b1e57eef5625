"""Every network: built, called, as a restorer; and FFDNet against the paper."""

import copy
import itertools
import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.card import Card
from models.contract import Condition, RestorerError
from models.networks import CONDITIONS, NETWORKS, NetworkModel, build_network, card_facts
from models.networks.ffdnet import FFDNet
from models.restorer import Restorer
from models.weights import build_restorer

# Adding a network: one line, with arguments small enough to be fast.
SMALL = {
    "basicvsr": {"features": 4, "blocks": 1},
    "deblurgan": {"features": 4, "blocks": 2},
    "deblurgan_v2": {"features": 4, "pyramid": 6, "encoder_width": 0.125},
    "dncnn": {"features": 8, "layers": 4},
    "drunet": {"features": [4, 6, 8], "blocks": 1},
    "edsr": {"features": 8, "blocks": 2, "scale": 3, "residual_weight": 0.1},
    "ffdnet": {"features": 16, "layers": 4},
    "ffdnet_quantiles": {"features": 16, "layers": 4, "head_features": 8},
    "frame_fusion": {"features": 4, "layers": 2, "frame_features": 2, "scale": 2},
    "gated_unet": {"features": 4, "levels": 2},
    "lama": {"features": 4, "blocks": 2},
    "msrresnet": {"features": 8, "blocks": 2, "scale": 4},
    "nafnet": {"features": 4, "encoders": [1, 2], "middle": 1, "decoders": [1, 1], "local_window": 24},
    "pannet": {"features": 8, "layers": 2, "scale": 2},
    "pix2pix_unet": {"features": 4, "levels": 3},
    "restormer": {"features": 4, "blocks": [1, 2, 1, 1], "refinement": 1, "heads": [1, 2, 2, 4]},
    "rrdbnet": {"features": 8, "growth": 4, "blocks": 1, "scale": 2},
    "span": {"features": 8, "scale": 2},
    "srresnet": {"features": 8, "blocks": 2, "scale": 2},
    "srvgg": {"features": 8, "layers": 3, "scale": 4},
    "swinir": {"features": 8, "blocks": [2, 3], "heads": 2, "window": 4, "scale": 2},
}


def network_and_conditions(name, batch=2, side=None, **arguments):
    torch.manual_seed(0)
    network = build_network(name, {**SMALL[name], **arguments}).eval()
    step = network.multiple_of
    side = side or -(-max(16, network.minimum_size) // step) * step
    image_BCHW = torch.rand(batch, network.channels, side, side + step)
    mask_B1HW = (torch.rand(batch, 1, side, side + step) > 0.4).float()
    guide_BCHW = torch.rand(
        batch, network.channels, *(getattr(network, "scale", 1) * n for n in (side, side + step))
    )
    condition = Condition(
        noise_level_B=torch.linspace(0.02, 0.2, batch),
        mask_B1HW=mask_B1HW,
        guide_BPHW=guide_BCHW,
        frames_BTCHW=frames_beside(image_BCHW),
        place=2,
    )
    given = [CONDITIONS[each](image_BCHW, condition) for each in getattr(network, "conditions", ())]
    return network, image_BCHW, condition, given


def frames_beside(image_BCHW):
    """Three frames more of each image, the last of them black."""
    moved = [image_BCHW.roll(1, -1), 0.98 * image_BCHW.roll(-1, -2)]
    return torch.stack([*moved, torch.zeros_like(image_BCHW)], 1)


def move(network):
    """Away from the initial weights, some of which may be zero on purpose."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)


def test_every_network_is_in_the_contract():
    assert SMALL.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", SMALL)
class TestContract:
    def test_gives_float32_of_the_scaled_size_and_repeats_itself(self, name):
        network, image_BCHW, _, given = network_and_conditions(name)
        with torch.inference_mode():
            first, again = network(image_BCHW, *given), network(image_BCHW, *given)
        scale = card_facts(network)["scale"]
        batch, channels, height, width = image_BCHW.shape
        assert first.shape == (batch, channels, scale * height, scale * width)
        assert first.dtype == torch.float32
        assert first.isfinite().all()
        assert torch.equal(first, again)

    def test_gradient_reaches_every_parameter(self, name):
        network, image_BCHW, _, given = network_and_conditions(name)
        move(network.requires_grad_(True))  # a head may be all that a training moves
        outputs = [call(image_BCHW, *given) for call in calls_of(network)]
        sum(each.square().sum() for each in outputs).backward()
        without_effect = biases_before_instance_norm(network)
        still = [
            key
            for key, parameter in network.named_parameters()
            if key not in without_effect and (parameter.grad is None or not parameter.grad.any())
        ]
        assert not still, f"no gradient reaches {still}"

    def test_batch_of_three_is_three_batches_of_one(self, name):
        network, image_BCHW, _, given = network_and_conditions(name, batch=3)
        move(network)
        with torch.inference_mode():
            together = network(image_BCHW, *given)
            alone = [network(image_BCHW[i : i + 1], *(g[i : i + 1] for g in given)) for i in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)

    def test_the_halo_is_how_far_it_looks(self, name):
        network, _, _, given = network_and_conditions(name, batch=1)
        if network.halo is None:
            pytest.skip(f"every pixel matters to {name}")
        distance = reach(network, given)
        assert distance == network.halo, f"looks {distance} pixels far, the halo says {network.halo}"

    def test_weights_load_strictly_into_a_network_of_the_same_arguments(self, name):
        network, image_BCHW, _, given = network_and_conditions(name)
        move(network)
        other = build_network(name, json.loads(json.dumps(SMALL[name]))).eval()
        other.load_state_dict(copy.deepcopy(network.state_dict()), strict=True)
        assert torch.equal(other(image_BCHW, *given), network(image_BCHW, *given))
        card = Card(name=name, summary="x", task="general", architecture=name, arguments=SMALL[name])
        restorer = build_restorer(card, network.state_dict())
        restored = restorer.model.network.eval()(image_BCHW, *given)  # laid out otherwise in memory
        torch.testing.assert_close(restored, network(image_BCHW, *given), rtol=1e-5, atol=1e-5)

    def test_bfloat16_autocast_stays_near_float32(self, name):
        network, image_BCHW, _, given = network_and_conditions(name)
        with torch.inference_mode():
            expected = network(image_BCHW, *given)
            with torch.autocast("cpu", torch.bfloat16):
                found = network(image_BCHW, *given).float()
        assert (found - expected).norm() < 0.03 * expected.norm()

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
    def test_half_precision_on_a_gpu_stays_near_float32(self, name, precision):
        network, image_BCHW, _, given = network_and_conditions(name)
        with torch.inference_mode():
            expected = network(image_BCHW, *given)
            network.to("cuda", memory_format=torch.channels_last)
            given = [each.cuda() for each in given]
            with torch.autocast("cuda", precision):
                found = network(image_BCHW.cuda(), *given).float().cpu()
        assert (found - expected).norm() < 0.03 * expected.norm()

    def test_restorer_pads_any_size(self, name):
        network, *_ = network_and_conditions(name)
        # Untrained networks overshoot what the restorer's guard lets pass.
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(0.5)
        facts = card_facts(network)
        card = Card(name=name, summary="x", task="general", **facts)
        restorer = Restorer(card, NetworkModel(network))
        for height, width in ((1, 1), (1, 8), (7, 2), (13, 17)):
            image_BCHW = torch.rand(2, network.channels, height, width)
            mask_B1HW = torch.ones(2, 1, height, width)
            mask_B1HW[..., : width // 3] = 0
            guide_BPHW = torch.rand(2, 1, facts["scale"] * height, facts["scale"] * width)
            condition = Condition(
                noise_level_B=torch.tensor([0.1, 0.2]),
                mask_B1HW=mask_B1HW,
                guide_BPHW=guide_BPHW,
                frames_BTCHW=frames_beside(image_BCHW),
            )
            restored_BCHW = restorer(image_BCHW, condition=condition)
            scale = facts["scale"]
            assert restored_BCHW.shape == (2, network.channels, scale * height, scale * width)

    def test_wrong_arguments_are_named_with_what_is_allowed(self, name):
        argument, least = ("layers", 3) if name.startswith("ffdnet") else ("channels", 1)
        with pytest.raises(ValueError, match=rf"{argument} must be .*{least} or more, got {least - 1}"):
            build_network(name, {**SMALL[name], argument: least - 1})
        with pytest.raises(ValueError, match=rf'"{name}": unknown argument "nonsense"'):
            build_network(name, {**SMALL[name], "nonsense": 1})


def calls_of(network):
    """What it gives: its image, and half-widths where it has them."""
    return [network, *([network.half_width] if hasattr(network, "half_width") else [])]


def biases_before_instance_norm(network):
    """Names of biases that instance normalisation takes away again."""
    names = set()
    for prefix, sequence in network.named_modules():
        if isinstance(sequence, nn.Sequential):
            for (name, _), (_, following) in itertools.pairwise(sequence.named_children()):
                if isinstance(following, nn.InstanceNorm2d):
                    names.add(f"{prefix}.{name}.bias")
    return names


def reach(network, given):
    """How far the input pixels lie that an output pixel's gradient reaches, over one period of places.

    All weights are positive, so that nothing cancels and no ReLU is dead; gradients of float64 show
    paths that the rounding of a perturbed output would hide.
    """
    with torch.no_grad():
        for parameter in network.double().parameters():
            parameter.normal_().abs_().add_(0.1).div_(max(1, parameter[0].numel()))
    step, scale = network.multiple_of, getattr(network, "scale", 1)
    centre = -(-(network.halo + 2) // step) * step
    image_BCHW = torch.rand(1, network.channels, step * 4, 2 * centre + step, dtype=torch.float64)
    column_W = torch.arange(2 * centre + step)
    # What fills holes looks no farther than to what is known: holes of all widths that could matter.
    names = getattr(network, "conditions", ())
    masked = "mask" in names
    guide_BCHW = torch.rand(
        1, network.channels, *(scale * n for n in image_BCHW.shape[-2:]), dtype=torch.float64
    )
    holes = [0, *range(network.halo - 2 * step, network.halo + 1)] if masked else [0]
    distances = []
    for place, hole in itertools.product(range(centre, centre + step), holes):
        mask_11HW = ((column_W - place).abs() >= hole).double().expand_as(image_BCHW[:, :1])
        by_name = {"mask": mask_11HW, "guide": guide_BCHW}
        told = [by_name.get(name, each.double()) for name, each in zip(names, given, strict=True)]
        input_BCHW = image_BCHW.clone().requires_grad_()
        farthest = calls_of(network)[-1]
        restored_BCHW = getattr(network, "predict", farthest)(input_BCHW, *told)
        restored_BCHW[..., scale * place : scale * (place + 1)].sum().backward()
        columns = input_BCHW.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        if len(columns):
            distances += [place - int(columns.min()), int(columns.max()) - place]
    return max(distances)


def test_parameter_counts_are_those_of_the_released_networks():
    # Written out from section III-C: 3 x 3 convolutions with bias at half resolution.
    def count(features, layers, channels):
        first, last = 4 * channels + 1, 4 * channels
        inner = (layers - 2) * (features * features * 9 + features)
        return first * features * 9 + features + inner + features * last * 9 + last

    for expected, features, layers, channels in ((852_108, 96, 12, 3), (485_316, 64, 15, 1)):
        network = FFDNet(channels=channels, features=features, layers=layers)
        assert sum(p.numel() for p in network.parameters()) == expected == count(features, layers, channels)


@pytest.mark.parametrize("predicts", ["image", "noise"])
def test_forward_is_the_paper_written_out(predicts):
    network = FFDNet(channels=1, features=8, layers=3, predicts=predicts)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image_BCHW, level_B = torch.rand(2, 1, 6, 8), torch.tensor([0.1, 0.3])
    # Four sub-images, one for each place in a 2 x 2 block, and the constant noise map.
    seen_BCHW = image_BCHW if predicts == "image" else 2 * image_BCHW - 1
    sub_images = [seen_BCHW[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    maps = torch.stack([torch.full((1, 3, 4), level) for level in level_B.tolist()])
    features = torch.cat([*sub_images, maps], dim=1)
    for layer, convolution in enumerate(network.convolutions):
        features = F.conv2d(features, convolution.weight, convolution.bias, padding=1)
        features = features if layer == 2 else features.clamp_min(0)
    expected = torch.empty_like(image_BCHW)
    for index, (i, j) in enumerate((i, j) for i in (0, 1) for j in (0, 1)):
        expected[..., i::2, j::2] = features[:, index : index + 1]
    if predicts == "noise":
        expected = torch.stack([image_BCHW[i] - 4 * level_B[i] * expected[i] for i in range(2)])
    torch.testing.assert_close(network(image_BCHW, level_B), expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_predicts_noise_leaves_a_clean_image_alone(channels):
    network = FFDNet(channels=channels, features=32, layers=5, predicts="noise")
    image_BCHW = torch.rand(2, channels, 10, 12) * 1.8 - 0.4  # as far out as strong noise goes
    assert torch.equal(network(image_BCHW, torch.tensor([0.0, 0.3])), image_BCHW), "untrained"
    torch.nn.init.normal_(network.convolutions[-1].weight)
    restored_BCHW = network(image_BCHW, torch.tensor([0.0, 0.3]))
    assert torch.equal(restored_BCHW[0], image_BCHW[0])
    assert not torch.equal(restored_BCHW[1], image_BCHW[1])


def test_layers_start_orthogonal():
    network = FFDNet(channels=3, features=32, layers=4)
    for convolution in network.convolutions:
        weight = convolution.weight.detach().flatten(1)
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(len(weight)), rtol=0, atol=1e-5)


def test_one_noise_level_serves_a_batch_and_the_dtype_follows_the_image():
    network, image_BCHW, _, _ = network_and_conditions("ffdnet")
    model = NetworkModel(network.double())
    one = model(image_BCHW.double(), Condition(noise_level_B=torch.tensor([0.1])))
    two = model(image_BCHW.double(), Condition(noise_level_B=torch.tensor([0.1, 0.1])))
    assert one.dtype == torch.float64
    assert torch.equal(one, two)


def test_missing_noise_level_is_refused():
    network, image_BCHW, _, _ = network_and_conditions("ffdnet")
    with pytest.raises(RestorerError, match="needs the noise level") as caught:
        NetworkModel(network)(image_BCHW, Condition())
    assert caught.value.reason == "CONDITION_MISSING"


def test_missing_mask_is_refused():
    class Inpainter(torch.nn.Module):
        conditions = ("mask",)

        def forward(self, image_BCHW, mask_B1HW):
            return image_BCHW * mask_B1HW

    image_BCHW = torch.rand(1, 3, 4, 4)
    with pytest.raises(RestorerError, match="needs the mask") as caught:
        NetworkModel(Inpainter())(image_BCHW, Condition())
    assert caught.value.reason == "CONDITION_MISSING"
    mask_B1HW = torch.zeros(1, 1, 4, 4)
    assert not NetworkModel(Inpainter())(image_BCHW, Condition(mask_B1HW=mask_B1HW)).any()


def test_wrong_names_and_arguments_are_named():
    with pytest.raises(ValueError, match=r'unknown network "ffdnett"; did you mean "ffdnet"'):
        build_network("ffdnett", {})
    with pytest.raises(ValueError, match=r'"ffdnet": unknown argument "width"; known are ch'):
        build_network("ffdnet", {"width": 3})
    with pytest.raises(ValueError, match="layers must be 3 or more, got 2"):
        build_network("ffdnet", {"layers": 2})
    with pytest.raises(ValueError, match="predicts must be one of image, noise; got 'residual'"):
        build_network("ffdnet", {"predicts": "residual"})


def test_a_core_is_in_evaluation_mode_and_can_be_copied():
    network, image_BCHW, condition, _ = network_and_conditions("ffdnet")
    model = NetworkModel(network.train())
    assert not model.network.training
    assert torch.equal(copy.deepcopy(model)(image_BCHW, condition), model(image_BCHW, condition))
