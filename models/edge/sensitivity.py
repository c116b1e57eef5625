"""How much noise on each channel of some features changes what a network makes in the end.

White noise of variance one on channel i of what a convolution reads has the energy of its weights for i in
each filter's result; ReLU lets through the share of places where it is open. From the end backwards, as if
the noise of no two ways were alike: what it says of channels of one layer beside each other is enough to
find those that carry the image.

Shapes: I channels read, O filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def sensitivities(onnx: Any, graph: Any, open_shares: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For what each convolution without groups reads: energies of its channels (I), by tensor.

    ``open_shares`` are those of the channels that each ReLU makes, by tensor. What other nodes read, and
    what the graph gives, has one for each channel.
    """
    known = {each.name: each for each in graph.initializer}
    found: dict[str, Tensor] = {}
    for node in reversed(graph.node):
        made = found.get(node.output[0], torch.ones(()))
        groups = [each.i for each in node.attribute if each.name == "group"]
        if node.op_type == "Conv" and node.input[1] in known and groups in ([], [1]):
            weights_OIhw = torch.from_numpy(onnx.numpy_helper.to_array(known[node.input[1]]).copy())
            heard_OI = weights_OIhw.square().flatten(2).sum(2)
            energy = (made.expand(len(heard_OI))[:, None] * heard_OI).sum(0)
        elif node.op_type == "Relu":
            energy = made * open_shares.get(node.output[0], torch.ones(()))
        else:
            energy = torch.ones(())
        if node.input and node.input[0] not in known:
            found[node.input[0]] = found.get(node.input[0], torch.zeros(())) + energy
        for name in node.input[1:]:
            if name and name not in known:
                found[name] = found.get(name, torch.zeros(())) + torch.ones(())
    return found
