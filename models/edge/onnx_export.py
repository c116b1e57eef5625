"""A restorer's network as an ONNX file that carries its card: for machines without PyTorch.

The graph takes ``image`` (BCHW in [0, 1], sides multiples of the card's) and whatever the card needs:
``noise_level`` (B), ``mask`` (B1HW), ``guide`` (BCHW in [0, 1], as large as the restored image), ``frames``
(BTCHW in [0, 1]), ``place`` (B whole numbers, all of them how many frames come before the image). It gives
``restored``, not clipped. Batch, height, width and the number of frames are free, and bands where the card
names no number of them.

Shapes: B batch, T frames, C channels, H and W height and width.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.card import Card
from models.contract import Condition
from models.edge.export_fault import EnteredModules, untranslated
from models.edge.frames.graphs import as_graph
from models.edge.frames.probe import COUNT, scene_of_frames
from models.edge.half import in_half
from models.edge.inner_graphs import modernise
from models.edge.onnx_model import OnnxModel, build_from_onnx
from models.edge.slopes import quick_slopes
from models.networks import NetworkModel
from models.restorer import Restorer
from models.tiling import Tiling

OPSET = 23
"""Of ONNX 1.18, 2025; onnxruntime reads it from 1.22 on."""
TOLERANCE = 1e-4
"""Most by which the exported graph may differ from PyTorch's on the CPU, in [0, 1]."""
TOLERANCES = {"float32": TOLERANCE, "float16": 1e-2}
"""The same for each precision."""
_AXES = {
    "image": (0, 2, 3),
    "noise_level": (0,),
    "mask": (0, 2, 3),
    "guide": (0, 2, 3),
    "frames": (0, 1, 3, 4),
    "place": (0,),
}
"""Input -> the axes of it that are free."""
_NAMES = {0: "batch", 1: "bands", 2: "height", 3: "width"}
_NAMES_OF_FRAMES = {0: "batch", 1: "frames", 3: "height", 4: "width"}


def export_onnx(restorer: Restorer, precision: str = "float32") -> tuple[bytes, float]:
    """The ONNX file, and the largest difference from the restorer, which is looked for before it is given.

    Its metadata: ``card`` (with the range that the graph takes, [0, 1]), ``tiling``, and the digest of the
    weights that it was made from as ``weights_sha256``.
    Raises ``ValueError`` for a solver, for an operator that ONNX lacks, naming the layer that calls it, and
    where onnxruntime computes something else than PyTorch.
    """
    network = _network_of(restorer)
    inputs = _inputs_of(restorer.card)
    program = _captured(_InUnitRange(as_graph(network), restorer.card.value_range, inputs[1:]), restorer.card)
    content = quick_slopes(_translated(program, restorer.card))
    if precision == "float16":
        content = in_half(content)
    difference = largest_difference(restorer, build_from_onnx(content))
    if difference > TOLERANCES[precision]:
        raise ValueError(
            f"{restorer.card.name}: onnxruntime differs from PyTorch by {difference:.2g}, more than "
            f"{TOLERANCES[precision]:g}; nothing is written. Please report it with the versions of torch and "
            "onnxruntime"
        )
    return content, difference


def largest_difference(restorer: Restorer, other: Restorer) -> float:
    """Between two restorers of one card, on images of two sizes that are multiples of nothing."""
    found = 0.0
    for seed, (batch, height, width) in enumerate(((1, 37, 50), (2, 61, 33))):
        image_BCHW, condition = probe(restorer.card, batch, height, width, seed)
        difference = restorer(image_BCHW, condition=condition) - other(image_BCHW, condition=condition)
        found = max(found, float(difference.abs().max()))
    return found


def probe(card: Card, batch: int, height: int, width: int, seed: int) -> tuple[Tensor, Condition]:
    """Slopes under a little noise, and what the card needs: no network takes them for something odd."""
    rng = torch.Generator().manual_seed(seed)
    if "frames" in card.needs:
        image_BCHW, frames_BTCHW = scene_of_frames(card.channels or 3, batch, height, width, rng)
        return image_BCHW, Condition(frames_BTCHW=frames_BTCHW, place=(1 + seed) % COUNT)
    grid_BChw = torch.rand(batch, card.channels or 3, 5, 5, generator=rng)
    smooth_BCHW = nn.functional.interpolate(grid_BChw, (height, width), mode="bicubic").clamp(0, 1)
    mask_B1HW = (torch.rand(batch, 1, height, width, generator=rng) > 0.3).float()
    larger = [side * (card.scale or 1) for side in (height, width)]
    condition = Condition(
        noise_level_B=torch.linspace(0.02, 0.2, batch),
        mask_B1HW=mask_B1HW if "mask" in card.needs else None,
        guide_BPHW=nn.functional.interpolate(grid_BChw, larger, mode="bicubic").clamp(0, 1)
        if "guide" in card.needs
        else None,
    )
    return smooth_BCHW + 0.05 * torch.randn(smooth_BCHW.shape, generator=rng), condition


class _InUnitRange(nn.Module):
    """The network with its value range inside, so that its callers know of [0, 1] alone."""

    def __init__(self, network: nn.Module, value_range: tuple[float, float], given: Sequence[str]) -> None:
        super().__init__()
        self.network, self._images = network, [name in ("guide", "frames") for name in given]
        self._low, self._span = value_range[0], value_range[1] - value_range[0]

    def forward(self, image_BCHW: Tensor, *given: Tensor) -> Tensor:
        if (self._low, self._span) == (0.0, 1.0):
            restored_BCHW: Tensor = self.network(image_BCHW, *given)
            return restored_BCHW
        ranged = [
            each * self._span + self._low if is_image else each
            for each, is_image in zip(given, self._images, strict=True)
        ]
        restored_BCHW = self.network(image_BCHW * self._span + self._low, *ranged)
        return (restored_BCHW - self._low) / self._span


def _network_of(restorer: Restorer) -> nn.Module:
    name = restorer.card.name
    for package in ("onnx", "onnxruntime", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{package} is missing: pip install 'restora[onnx]'")
    if not isinstance(restorer.model, NetworkModel):
        what = "is ONNX" if isinstance(restorer.model, OnnxModel) else "is no network of ours"
        raise ValueError(
            f"{name} {what} ({restorer.card.architecture}); give a restorer with weights of its own, such as "
            "ffdnet-colour or a file that restora train wrote. Solvers run where PyTorch does"
        )
    untold = [each for each in restorer.card.needs if each not in _AXES]
    if untold:
        raise ValueError(
            f"{name} needs {' and '.join(untold)}, which exported graphs are not told; "
            "it runs where PyTorch does"
        )
    return restorer.model.network


def _inputs_of(card: Card) -> list[str]:
    return ["image", *(each for each in card.needs if each in _AXES)]


def _free_axes(name: str, card: Card) -> tuple[int, ...]:
    has_bands = card.channels is None and name in ("image", "guide")
    return (*_AXES[name], 1) if has_bands else _AXES[name]


def _captured(network: nn.Module, card: Card) -> Any:
    """The network's operations, for free batch and sides; ``ValueError`` names the layer that has none."""
    inputs = _inputs_of(card)
    side = -(-max(card.minimum_size, 16) // card.multiple_of) * card.multiple_of
    height, width = side + card.multiple_of, side + 2 * card.multiple_of
    examples = {
        "image": torch.rand(2, card.channels or 3, height, width),
        "noise_level": torch.full((2,), 0.1),
        "mask": torch.ones(2, 1, height, width),
        "guide": torch.rand(2, card.channels or 3, *(side * (card.scale or 1) for side in (height, width))),
        "frames": torch.rand(2, 3, card.channels or 3, height, width),
        "place": torch.ones(2, dtype=torch.int64),
    }
    free = torch.export.Dim.DYNAMIC
    first, *others = ({axis: free for axis in _free_axes(name, card)} for name in inputs)
    shapes = (first, tuple(others)) if others else (first,)
    entered = EnteredModules(network)
    try:
        with _quiet(), entered, torch.no_grad():
            arguments = tuple(examples[name] for name in inputs)
            return torch.export.export(network, arguments, dynamic_shapes=shapes)
    except Exception as error:  # capturing runs the network's code, which fails in its own way
        raise ValueError(entered.refusal(card.name, error)) from error


def _translated(program: Any, card: Card) -> bytes:
    inputs = _inputs_of(card)
    try:
        with _quiet():
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=inputs,
                output_names=["restored"],
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        with _quiet():
            refusal = untranslated(card.name, program, error)
        raise ValueError(refusal) from error
    assert exported is not None
    proto = exported.model_proto
    modernise(proto.graph)
    _name_axes(proto)
    proto.producer_name = "restora"
    for key, value in _metadata(card).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _metadata(card: Card) -> dict[str, str]:
    inside = dataclasses.replace(card, value_range=(0.0, 1.0), precisions=("float32",), weights_sha256="")
    tiling = Tiling.of(card)
    return {
        "card": inside.to_json(),
        "tiling": json.dumps(dataclasses.asdict(tiling)) if tiling else "null",
        "weights_sha256": card.weights_sha256,
    }


def _name_axes(proto: Any) -> None:
    """Free axes are called what they are, where the exporter called them by its own symbols."""
    for value in proto.graph.input:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param:
                own = f"{value.name}_" if value.name == "guide" and axis > 1 else ""
                names = _NAMES_OF_FRAMES if value.name == "frames" else _NAMES
                dimension.dim_param = own + names[axis]
    for value in proto.graph.output:
        for axis, name in _NAMES.items():
            if axis != 1:
                dimension = value.type.tensor_type.shape.dim[axis]
                dimension.dim_param = f"restored_{name}" if axis else name
    # What lies between has the exporter's symbols; onnxruntime works these shapes out by itself.
    del proto.graph.value_info[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch tells its own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
