"""The method int8: static, by onnxruntime; where too much is lost layers are fitted, and left in float32."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.edge.fitting import Fit
from models.edge.int8 import Inputs, fits_of, int8_layers, quantised, with_metadata
from models.edge.onnx_export import export_onnx
from models.edge.onnx_model import OnnxModel, build_from_onnx
from models.edge.slopes import with_one_slope
from models.restorer import Restorer
from pipeline.edge.compressed import Asked, Compressed, Images, usual_degradation
from pipeline.edge.measures import measured_speedup, scorer_of
from pipeline.edge.retraining import learn_rounding

_SHARE_OF_SLOPES = 0.5
"""Of what int8 may lose, how much one slope for all channels of an activation may; it halves the work."""
CALIBRATED_ON = ("awgn-15", "awgn-25", "awgn-50")
"""Of restorers that are told the noise, where no degradation is said: ranges grow with it."""
CALIBRATED_SIDE = 96
"""Side of what ranges are taken from, in the middle of each image."""


def to_int8(given: Restorer, asked: Asked) -> Compressed:
    """The restorer in ONNX and int8. ``ValueError`` also names a layer that has no int8."""
    model = given.model
    content = model.content if isinstance(model, OnnxModel) else export_onnx(given)[0]
    plain, layers = build_from_onnx(content), int8_layers(content)
    score, calibration = (
        scorer_of(asked.images, plain.card),
        calibration_of(content, plain.card, asked.images),
    )
    before = score(plain)
    if asked.retraining.has_length:
        content = export_onnx(learn_rounding(given, asked))[0]
    graphs, one_slope = [content], with_one_slope(content)
    if one_slope != content:
        lost = before - score(build_from_onnx(one_slope))
        graphs = [one_slope, content] if lost <= _SHARE_OF_SLOPES * asked.most_loss else graphs
    tried: list[str] = []
    for graph, (keep, is_fitted) in itertools.product(graphs, _tries(layers)):
        fits = fits_of(graph, calibration, keep) if is_fitted else {}
        if is_fitted and not fits and not keep:
            continue
        light = quantised(graph, calibration, keep, fits)
        after, count = score(build_from_onnx(light)), len(layers) - len(keep)
        tried.append(f"{count} of {len(layers)} layers{' fitted' if fits else ''} {before - after:.2f} dB")
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
        what = f"{count} layers int8{', fitted' if fits else ''}, {len(keep)} float32"
        done = Compressed(
            asked.file, light, before, after, speedup, what, other, layers=count, kept=len(keep)
        )
        card = _card(plain.card, done, asked, sum(isinstance(each, Fit) for each in fits.values()))
        return dataclasses.replace(done, content=with_metadata(light, {"card": card.to_json()}))
    raise ValueError(
        f"int8 loses more than {asked.most_loss:g} dB: {'; '.join(tried)}; nothing is written. Allow more "
        "with --most-loss, run the float32 file (restora export), or cut channels: --method prune"
    )


def _tries(layers: list[str]) -> Iterator[tuple[list[str], bool]]:
    """What is left in float32, and whether the rest is fitted.

    All as they are, which costs nothing; then fitted, and the outermost layers of both ends left out, more
    and more: those change pixels the most.
    """
    yield [], False
    for ends in range((len(layers) + 1) // 2):
        yield [*layers[:ends], *layers[len(layers) - ends :]], True


def calibration_of(content: bytes, card: Card, images: Images) -> list[Inputs]:
    """What the graph is called with for the images of ``--data``: their middles."""
    recorder = _Recorder(content, card)
    told = images.degradation is None and "noise_level" in card.needs
    for degradation in CALIBRATED_ON if told else (images.degradation,):
        seen = dataclasses.replace(images, degradation=degradation, validate=None)
        scorer_of(seen, card)(Restorer(card, recorder))
    return recorder.calibration


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


def _card(card: Card, done: Compressed, asked: Asked, fitted: int) -> Card:
    facts: dict[str, Any] = {
        "method": "int8",
        "layers": done.layers,
        "layers_in_float32": done.kept,
        "layers_fitted": fitted,
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
