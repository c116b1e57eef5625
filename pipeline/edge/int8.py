"""The method int8: static, by onnxruntime, with layers left in float32 while too much is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.edge.int8 import Inputs, int8_layers, quantised, with_metadata
from models.edge.onnx_export import export_onnx
from models.edge.onnx_model import OnnxModel, build_from_onnx
from models.edge.slopes import with_one_slope
from models.restorer import Restorer
from pipeline.edge.compressed import Asked, Compressed, usual_degradation
from pipeline.edge.measures import measured_speedup, scorer_of
from pipeline.edge.retraining import learn_rounding

_SHARE_OF_SLOPES = 0.2
"""Of what int8 may lose, how much one slope for all channels of an activation may; it halves the work."""
CALIBRATED_SIDE = 96
"""Side of what ranges are taken from, in the middle of each image."""


def to_int8(given: Restorer, asked: Asked) -> Compressed:
    """The restorer in ONNX and int8. ``ValueError`` also names a layer that has no int8."""
    model = given.model
    content = model.content if isinstance(model, OnnxModel) else export_onnx(given)[0]
    plain, layers = build_from_onnx(content), int8_layers(content)
    score, recorder = scorer_of(asked.images, plain.card), _Recorder(content, plain.card)
    before = score(Restorer(plain.card, recorder))
    if asked.retraining.has_length:
        content = export_onnx(learn_rounding(given, asked))[0]
    one_slope = with_one_slope(content)
    if one_slope != content:
        lost = before - score(build_from_onnx(one_slope))
        content = one_slope if lost <= _SHARE_OF_SLOPES * asked.most_loss else content
    tried: list[str] = []
    for keep in _kept(layers):
        light = quantised(content, recorder.calibration, keep)
        after, count = score(build_from_onnx(light)), len(layers) - len(keep)
        tried.append(f"{count} of {len(layers)} layers {before - after:.2f} dB")
        if before - after > asked.most_loss:
            continue
        speedup = measured_speedup(plain, build_from_onnx(light))
        if speedup < asked.least_speedup:
            raise ValueError(
                f"int8 gains nothing on this CPU: {'; '.join(tried)}, and then {speedup:.2f} x float32; "
                "nothing is written. What gains is the float32 file: restora export; or fewer channels: "
                "--method prune"
            )
        other = None if isinstance(model, OnnxModel) else measured_speedup(given, build_from_onnx(light))
        done = Compressed(
            asked.file,
            light,
            before,
            after,
            speedup,
            f"{count} layers int8, {len(keep)} float32",
            other,
            layers=count,
            kept=len(keep),
        )
        card = _card(plain.card, done, asked)
        return dataclasses.replace(done, content=with_metadata(light, {"card": card.to_json()}))
    raise ValueError(
        f"int8 loses more than {asked.most_loss:g} dB: {'; '.join(tried)}; nothing is written. Allow more "
        "with --most-loss, run the float32 file (restora export), or cut channels: --method prune"
    )


def _kept(layers: list[str]) -> Iterator[list[str]]:
    """None, then the outermost layers of both ends, more and more: those change pixels the most."""
    for ends in range((len(layers) + 1) // 2):
        yield [*layers[:ends], *layers[len(layers) - ends :]]


class _Recorder(OnnxModel):
    """The graph, and the middle of what it is called with: ranges of int8 are taken from that."""

    def __init__(self, content: bytes, card: Card) -> None:
        super().__init__(content)
        self._side = -(-CALIBRATED_SIDE // card.multiple_of) * card.multiple_of
        self.calibration: list[Inputs] = []

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        for inputs in self.inputs_of(degraded_BCHW, condition):
            self.calibration.append({name: self._middle(array) for name, array in inputs.items()})
        return super().__call__(degraded_BCHW, condition)

    def _middle(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        if array.ndim == 1:
            return array
        top, left = (max(0, (length - self._side) // 2) for length in array.shape[2:])
        return array[:, :, top : top + self._side, left : left + self._side]


def _card(card: Card, done: Compressed, asked: Asked) -> Card:
    facts: dict[str, Any] = {
        "method": "int8",
        "layers": done.layers,
        "layers_in_float32": done.kept,
        "degradation": asked.images.degradation or usual_degradation(card),
        "psnr_float32": round(done.before, 3),
        "psnr": round(done.after, 3),
        "times_float32": done.speedup,
        "times_float32_in_pytorch": done.beside_pytorch,
    }
    return dataclasses.replace(
        card,
        name=f"{card.name}-int8",
        summary=f"{card.summary} In int8.",
        training={**card.training, "compressed": facts},
    )
