"""Restorers made light: int8, with loss and speed measured beside float32 on the user's own images."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.card import Card
from models.contract import Condition
from models.edge.int8 import Inputs, int8_layers, quantised, with_metadata
from models.edge.onnx_export import export_onnx, probe
from models.edge.onnx_model import OnnxModel, build_from_onnx
from models.names import unknown
from models.restorer import Restorer
from pipeline.degradation.degradation import build_degradation
from pipeline.edge.export import find_restorer, write_whole
from pipeline.errors import JobError
from pipeline.jobs.specs import DegradationSpec
from pipeline.storage.output_file import check_output_file
from pipeline.training.recipe.sections import Validation
from pipeline.training.validation.restorer import RestorerValidation
from pipeline.training.world import World

METHODS = ("int8",)
CALIBRATED_SIDE = 96
"""Side of what ranges are taken from, in the middle of each image."""
SPEED_SIDE, ROUNDS = 256, 7


@dataclass(frozen=True)
class Limits:
    """What a compressed restorer has to keep and to gain."""

    most_loss: float = 0.1
    """PSNR in dB."""
    least_speedup: float = 1.05
    """Times float32 in onnxruntime."""


@dataclass(frozen=True)
class Images:
    """What is calibrated and measured on."""

    uri: str
    degradation: str | None = None
    """A preset; by default what the restorer is for, where its card says that."""
    count: int = 8
    side: int | None = 256
    """Only the middle so many pixels of each; ``None``: whole images."""


@dataclass(frozen=True)
class Compressed:
    """What a compression reached."""

    file: Path
    size: int
    """In bytes."""
    layers: int
    """That are int8 now."""
    kept: int
    """That stay float32, because int8 of them loses too much."""
    before: float
    """PSNR of float32 in dB, mean over the images."""
    after: float
    speedup: float
    """Times float32, both in onnxruntime, in turns."""
    beside_pytorch: float | None = None
    """Times float32 in PyTorch; ``None`` for weights that are ONNX already."""

    @property
    def loss(self) -> float:
        """In dB."""
        return self.before - self.after


def compress(
    weights: str, method: str, images: Images, file: Path | None = None, limits: Limits | None = None
) -> Compressed:
    """Writes the restorer in int8; by default as ``NAME-int8.onnx`` in the current folder.

    Layers at both ends of the network stay float32 while the loss is above ``limits.most_loss``. ``JobError``
    where a layer has no int8 (named), where every choice of layers loses more, and where what does not is no
    faster than float32; then nothing is written.
    """
    if method not in METHODS:
        raise JobError(f"--method: {unknown('method', method, METHODS)}")
    restorer = find_restorer(weights)
    target = file or Path(f"{restorer.card.name}-{method}.onnx")
    check_output_file(target, ".onnx", [weights])
    try:
        model = restorer.model
        content = model.content if isinstance(model, OnnxModel) else export_onnx(restorer)[0]
        light, done = _int8(content, restorer, images, target, limits or Limits())
    except ValueError as error:
        raise JobError(f"{restorer.card.name}: {error}") from error
    write_whole(target, light)
    return dataclasses.replace(done, size=len(light))


def _int8(
    content: bytes, given: Restorer, images: Images, file: Path, limits: Limits
) -> tuple[bytes, Compressed]:
    plain, layers = build_from_onnx(content), int8_layers(content)
    score, recorder = _scorer(images, plain.card), _Recorder(content, plain.card)
    before = score(Restorer(plain.card, recorder))
    tried: list[str] = []
    for keep in _kept(layers):
        light = quantised(content, recorder.calibration, keep)
        after, count = score(build_from_onnx(light)), len(layers) - len(keep)
        tried.append(f"{count} of {len(layers)} layers {before - after:.2f} dB")
        if before - after > limits.most_loss:
            continue
        speedup = measured_speedup(plain, build_from_onnx(light))
        if speedup < limits.least_speedup:
            raise ValueError(
                f"int8 gains nothing on this CPU: {'; '.join(tried)}, and then {speedup:.2f} x float32; "
                "nothing is written. What gains is the float32 file: restora export"
            )
        other = (
            None if isinstance(given.model, OnnxModel) else measured_speedup(given, build_from_onnx(light))
        )
        done = Compressed(file, len(light), count, len(keep), before, after, speedup, other)
        return with_metadata(light, {"card": _card(plain.card, done, images).to_json()}), done
    raise ValueError(
        f"int8 loses more than {limits.most_loss:g} dB: {'; '.join(tried)}; nothing is written. Allow more "
        "with --most-loss, or run the float32 file: restora export"
    )


def _kept(layers: list[str]) -> Iterator[list[str]]:
    """None, then the outermost layers of both ends, more and more: those change pixels the most."""
    for ends in range((len(layers) + 1) // 2):
        yield [*layers[:ends], *layers[len(layers) - ends :]]


def measured_speedup(plain: Restorer, light: Restorer) -> float:
    """How many times faster the second is, by the median of turns on one image."""
    image_BCHW, condition = probe(plain.card, 1, SPEED_SIDE, SPEED_SIDE, seed=1)
    ratios = []
    for _ in range(ROUNDS + 1):
        seconds = []
        for each in (plain, light):
            started = time.perf_counter()
            each(image_BCHW, condition=condition)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    return round(statistics.median(ratios[1:]), 2)


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


def _scorer(images: Images, card: Card) -> Callable[[Restorer], float]:
    """Mean PSNR over the images, by the degradation, call and metric of a benchmark."""
    degradation = build_degradation(DegradationSpec(name=images.degradation or _usual(card)), "--degradation")
    settings = Validation.model_validate(
        {
            "datasets": [{"name": "images", "uri": images.uri}],
            "metrics": ("psnr",),
            "images": images.count,
            "side": images.side,
            "samples": 1,
        }
    )
    validate = RestorerValidation(
        settings, (degradation,), channels=card.channels or 3, seed=0, world=World()
    )

    def score(restorer: Restorer) -> float:
        found = validate(restorer)
        if not found.scores or not found.scores[0].values:
            why = "; ".join(f"{name}: {fault}" for name, fault in list(found.errors.items())[:3])
            raise JobError(f"--data: {images.uri}: no image could be scored. {why}")
        return found.scores[0].mean

    return score


def _usual(card: Card) -> str:
    """What a restorer of its kind is measured on."""
    if (card.scale or 1) > 1:
        return f"bicubic-x{card.scale}"
    if "noise_level" in card.needs:
        return "awgn-25"
    raise JobError(f"{card.name}: say with --degradation what it restores; see restora list degradations")


def _card(card: Card, done: Compressed, images: Images) -> Card:
    facts: dict[str, Any] = {
        "method": "int8",
        "layers": done.layers,
        "layers_in_float32": done.kept,
        "degradation": images.degradation or _usual(card),
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
