"""An ONNX file behind the call of every restorer: onnxruntime, on the CPU.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from models.card import Card
from models.contract import Condition, RestorerError
from models.networks import CONDITIONS
from models.restorer import Restorer


class OnnxModel:
    """``model(degraded_BCHW, condition)``: the graph in ``content``, an image at a time.

    One by one, because a batch gains nothing on a CPU and onnxruntime may sum it in another order: so no bit
    depends on the company. Its threads are as many as PyTorch's here; the answer comes back on the image's
    device. What fails inside is a ``RestorerError`` with its words.
    """

    is_network = True
    """A guide comes to it as to any network: one for each band."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._session = _session(content)
        self._inputs = [each.name for each in self._session.get_inputs()]

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """``scale`` times the height and width."""
        try:
            each = [self._session.run(None, inputs)[0] for inputs in self.inputs_of(degraded_BCHW, condition)]
        except Exception as error:  # onnxruntime's own kinds of errors
            raise RestorerError("RESTORER_FAILED", f"onnxruntime failed: {error}") from error
        return torch.cat([torch.from_numpy(one) for one in each]).to(degraded_BCHW)

    def inputs_of(self, degraded_BCHW: Tensor, condition: Condition) -> list[dict[str, NDArray[Any]]]:
        """What the graph is called with, image by image; ``RestorerError`` where a condition is missing."""
        given = {"image": degraded_BCHW}
        for name in self._inputs[1:]:
            given[name] = CONDITIONS[name](degraded_BCHW, condition)
        arrays = {name: _as_array(tensor) for name, tensor in given.items()}
        return [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(len(degraded_BCHW))]

    def __reduce__(self) -> tuple[type[OnnxModel], tuple[bytes]]:
        return type(self), (self.content,)


def _as_array(tensor: Tensor) -> NDArray[Any]:
    """Floats as float32, whole numbers as they are."""
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().contiguous().numpy()


def build_from_onnx(data: bytes | Path) -> Restorer:
    """The restorer in an ONNX file with a card; ``ValueError`` without one, or for a graph of other inputs.

    Nothing is run but the operators of ONNX itself; the card's ``weights_sha256`` is that of the file.
    """
    content = data.read_bytes() if isinstance(data, Path) else data
    model = OnnxModel(content)
    metadata = model._session.get_modelmeta().custom_metadata_map
    if "card" not in metadata:
        raise ValueError(
            "this ONNX file has no card, which says scale, channels and value range; write it with "
            "restora export WEIGHTS --to onnx"
        )
    card = dataclasses.replace(
        Card.from_json(metadata["card"]), weights_sha256=hashlib.sha256(content).hexdigest()
    )
    wanted = ["image", *(each for each in card.needs if each in CONDITIONS)]
    if model._inputs != wanted:
        raise ValueError(
            f"the graph takes {', '.join(model._inputs)} and its card says {', '.join(wanted)}; export again"
        )
    return Restorer(card, model)


def _session(content: bytes) -> Any:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ValueError("weights in ONNX need onnxruntime: pip install 'restora[onnx]'")
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only; they are raised as well
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds of errors
        said = str(error).partition("\n")[0]
        raise ValueError(
            f"no ONNX file that onnxruntime can run ({said}); fetch or export it again"
        ) from None
