"""Released weights: architecture and arguments read off the tensors."""

import pytest
import torch

from models.networks import build_network
from models.networks.released import network_of

SMALL = {"features": 12, "blocks": [2, 3], "heads": 3}
FORMS = [
    ("swinir", {**SMALL, "scale": 2}),
    ("swinir", {**SMALL, "scale": 3, "channels": 1}),
    ("swinir", {**SMALL, "scale": 8, "expansion": 4.0}),
    ("swinir", {**SMALL, "scale": 3, "tail": "pixel_shuffle_direct"}),
    ("swinir", {**SMALL, "scale": 2, "tail": "nearest"}),
    ("swinir", {**SMALL, "scale": 4, "tail": "nearest", "bottleneck": True}),
    ("swinir", {**SMALL, "scale": 1, "tail": "residual", "window": 7, "gain": 255.0}),
    ("restormer", {"features": 16, "blocks": [1, 2, 1, 3], "refinement": 2}),
    (
        "restormer",
        {"features": 12, "blocks": [1, 1, 1, 1], "heads": [1, 2, 2, 4], "norm_bias": False, "channels": 1},
    ),
    ("restormer", {"features": 16, "blocks": [1, 1, 1, 1], "expansion": 2.0, "bias": True}),
]


@pytest.mark.parametrize(("architecture", "arguments"), FORMS)
@pytest.mark.parametrize("wrapped", ["", "params", "params_ema"])
def test_a_network_is_told_by_its_tensors(architecture, arguments, wrapped):
    network = build_network(architecture, arguments).half()
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    if architecture == "swinir":
        state["module.layers.0.residual_group.blocks.1.attn_mask"] = torch.zeros(4, 64, 64)
    found = network_of({wrapped: state} if wrapped else state)
    assert found is not None
    assert found[0] == architecture
    again = build_network(architecture, found[1])
    again.load_state_dict(found[2], strict=True)
    for name, tensor in network.float().state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    given = {name: getattr(again, name) for name in ("channels", "scale", "gain") if hasattr(again, name)}
    expected = build_network(architecture, arguments)
    assert given == {name: getattr(expected, name) for name in given}


def test_what_differs_in_a_tensor_is_none_of_ours():
    state = build_network("swinir", {**SMALL, "scale": 2}).state_dict()
    assert network_of(state | {"absolute_pos_embed": torch.zeros(1, 4, 12)}) is None
    assert network_of({name: each for name, each in state.items() if name != "norm.bias"}) is None
    assert network_of(state | {"conv_last.weight": torch.zeros(3, 32, 3, 3)}) is None
    assert network_of(build_network("ffdnet", {}).state_dict()) is None
    assert network_of({"params": {"step": 3}}) is None
