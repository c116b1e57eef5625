"""Channels that belong together: in any order the same network, fewer are a smaller one."""

import pytest
import torch

from models.card import Card
from models.edge.channels import GROUPS, groups_of
from models.edge.pruning import by_size, narrower, pruned
from models.networks import build_network
from tests.restorer_contract import scene

ARCHITECTURES = {
    "dncnn": {"channels": 3, "features": 8, "layers": 4},
    "ffdnet": {"channels": 1, "features": 8, "layers": 4, "predicts": "noise"},
    "nafnet": {"channels": 3, "features": 4, "encoders": [1, 2], "middle": 1, "decoders": [1, 1]},
    "srvgg": {"channels": 3, "features": 6, "layers": 2, "scale": 2},
}


def drawn(architecture):
    """With weights that leave no two channels alike, statistics of norms too."""
    torch.manual_seed(3)
    network = build_network(architecture, ARCHITECTURES[architecture]).eval()
    state = {
        name: torch.rand(tensor.shape) + 0.1 if "running_var" in name else 0.3 * torch.randn(tensor.shape)
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    network.load_state_dict(state, strict=False)
    return network


def called(network):
    channels = network.channels
    given = [torch.tensor([0.1])] if "noise_level" in getattr(network, "conditions", ()) else []
    with torch.inference_mode():
        return network(scene(channels, 24, 16), *given)


def test_every_architecture_is_tried():
    assert ARCHITECTURES.keys() == GROUPS.keys()


@pytest.mark.parametrize("architecture", GROUPS)
def test_any_order_of_the_channels_of_a_group_is_the_same_network(architecture):
    network = drawn(architecture)
    state, before = network.state_dict(), called(network)
    groups = groups_of(architecture, state, ARCHITECTURES[architecture])
    for group in groups:
        state = group.taken(state, torch.arange(group.width).roll(1))
    assert any(not torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    network.load_state_dict(state)
    assert torch.allclose(called(network), before, atol=2e-5)
    half = state
    for group in groups:
        half = group.taken(half, torch.arange(group.width // 2))
    arguments = ARCHITECTURES[architecture] | {"features": ARCHITECTURES[architecture]["features"] // 2}
    build_network(architecture, arguments).load_state_dict(half)  # no axis was forgotten


def test_channels_that_carry_nothing_are_those_that_go():
    network = drawn("srvgg")
    state, arguments = network.state_dict(), ARCHITECTURES["srvgg"]
    for group, channel in zip(groups_of("srvgg", state, arguments), (1, 4, 0), strict=True):
        for member in group.members:
            # All that one channel makes and reads is nothing: the network without it is the same.
            state[member.name].index_fill_(member.axis, torch.tensor([channel]), 0.0)
    card = Card(name="s", summary="S.", task="general", architecture="srvgg", arguments=arguments)
    smaller = narrower(card, 5 / 6)
    assert smaller == arguments | {"features": 5}
    light = build_network("srvgg", smaller).eval()
    light.load_state_dict(pruned(card, state, smaller, by_size(state)))
    assert torch.allclose(called(light), called(network), atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("swinir", {}, r'"swinir" belong together is not known \(known: dncnn, .*--method distil'),
        (
            "dncnn",
            {"features": 1},
            r'"dncnn" has no width .* --method distil --set network.architecture=NAME',
        ),
    ],
)
def test_what_cannot_be_pruned_is_refused_by_name(architecture, arguments, message):
    card = Card(name="s", summary="S.", task="general", architecture=architecture, arguments=arguments)
    with pytest.raises(ValueError, match=message):
        groups_of(architecture, {}, arguments) if architecture == "swinir" else narrower(card, 0.5)
