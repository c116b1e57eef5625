"""DnCNN's weights as flax writes them: nested names in msgpack, kernels as height, width, inputs, outputs.

Written from the documentation of msgpack and of flax's serialisation. Neither flax nor JAX is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ARRAY = 1
"""The extension of msgpack that holds an array: shape, type and bytes."""


def fill_from_flax(network: nn.Module, path: Path) -> None:
    """Gives a :class:`models.networks.dncnn.DnCNN` the weights of one that was trained with flax.

    ``ValueError`` where the file is damaged or of another network.
    """
    learned = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    try:
        found = list(
            layers_of(read_flax(path), norms=sum(isinstance(each, nn.BatchNorm2d) for each in learned))
        )
    except KeyError as missing:
        raise ValueError(f"{path.name}: no weights of DnCNN: {missing} is not there") from None
    with torch.no_grad():
        for layer, tensors in zip(learned, found, strict=True):
            for name, tensor in tensors.items():
                place: Tensor = getattr(layer, name)
                if place.shape != tensor.shape:
                    raise ValueError(
                        f"{path.name}: {name} is {tuple(tensor.shape)}, not {tuple(place.shape)}"
                    )
                place.copy_(tensor)
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                layer.bias.zero_()  # these networks have none


def read_flax(path: Path) -> dict[str, Any]:
    """Names to arrays or to further names; ``ValueError`` where the file is damaged."""
    import msgpack  # comes with Ray

    try:
        content = msgpack.unpackb(path.read_bytes(), ext_hook=_array, raw=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise ValueError(f"{path.name}: no weights of flax ({error}); install its package again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name}: no weights of flax; install its package again")
    return content


def layers_of(content: dict[str, Any], norms: int) -> Iterator[dict[str, Tensor]]:
    """What each layer learned, in the order in which they run, by torch's names."""
    parameters, statistics = content["params"], content["batch_stats"]
    if len(statistics) > norms:
        raise KeyError(f"a network of {norms + 2} layers, where there is one of {len(statistics) + 2},")
    yield {"weight": _kernel(parameters["conv_start"])}
    for block in (f"ConvBNBlock_{index}" for index in range(norms)):
        yield {"weight": _kernel(parameters[block]["Conv_0"])}
        norm, measured = parameters[block]["BatchNorm_0"], statistics[block]["BatchNorm_0"]
        yield {
            "weight": _tensor(norm["scale"]),
            "bias": _tensor(norm["bias"]),
            "running_mean": _tensor(measured["mean"]),
            "running_var": _tensor(measured["var"]),
        }
    yield {"weight": _kernel(parameters["conv_end"])}


def _kernel(convolution: dict[str, Any]) -> Tensor:
    return _tensor(convolution["kernel"]).permute(3, 2, 0, 1)


def _tensor(values: Any) -> Tensor:
    if not isinstance(values, np.ndarray):
        raise KeyError(f"an array, where there is a {type(values).__name__},")
    return torch.from_numpy(values.copy())


def _array(code: int, data: bytes) -> Any:
    import msgpack

    if code != ARRAY:
        raise ValueError(f"msgpack extension {code}")
    shape, dtype, content = msgpack.unpackb(data, raw=True)
    return np.frombuffer(content, dtype.decode()).reshape(shape)
