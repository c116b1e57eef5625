"""Rounding as int8 does it, in a training: the values of int8, and gradients as if nothing were rounded."""

import torch
from torch import nn

from models.edge.rounding import RoundedConv2d, round_layers, rounded_features, rounded_weights


def test_features_have_256_values_and_zero_is_one_of_them():
    features = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)) + 0.3
    features[0, 0, 0, 0] = 0.0
    rounded, step = rounded_features(features), float(features.max() - features.min()) / 255
    assert len((rounded / step).round().unique()) <= 256
    assert float((rounded - features).abs().max()) <= step * 1.001
    assert rounded[0, 0, 0, 0] == 0.0
    above = features.abs() + 1
    assert float((rounded_features(above) - above).abs().max()) <= float(above.max()) / 255, (
        "zero is in the range"
    )


def test_weights_have_a_step_for_each_filter():
    weights = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    weights[1] *= 100
    steps = weights.abs().amax((1, 2, 3), keepdim=True) / 64
    in_steps = rounded_weights(weights) / steps
    torch.testing.assert_close(in_steps, (weights / steps).round(), rtol=0, atol=1e-4)
    assert torch.equal(rounded_weights(torch.zeros(2, 1, 3, 3)), torch.zeros(2, 1, 3, 3))


def test_convolutions_round_in_place_and_learn_as_if_they_did_not():
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3, groups=2))
    state, image = (
        {name: each.clone() for name, each in network.state_dict().items()},
        torch.rand(1, 3, 12, 12),
    )
    plain = network(image)
    plain.sum().backward()
    gradient = network[0].weight.grad.clone()
    network.zero_grad()
    assert round_layers(network) == 2
    assert all(torch.equal(each, state[name]) for name, each in network.state_dict().items())
    assert isinstance(network[2], RoundedConv2d)
    rounded = network(image)
    difference = float((rounded - plain).norm() / plain.norm())
    assert 0 < difference < 0.05
    rounded.sum().backward()
    assert float((network[0].weight.grad - gradient).norm() / gradient.norm()) < 0.05
    assert round_layers(nn.Sequential(nn.Linear(2, 2))) == 0
