"""The one way to call any restorer: check, pad, run, guard, crop.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.card import Card
from models.contract import Condition, RestorationModel, RestorerError, Traversal
from models.guard import find_fault, limits
from models.guides.matching import matched, refuse_other_size
from models.network_call import call_network
from models.noise_level import estimate_noise_level


def whole_image(model: RestorationModel, image_BCHW: Tensor, condition: Condition, scale: int) -> Tensor:
    """The whole batch in one call."""
    return model(image_BCHW, condition)


class Restorer:
    """A network with weights, or a solver, behind its card.

    ``restorer(degraded_BCHW, condition=...)`` takes float32 in [0, 1] and returns float32 of
    ``scale`` times the height and width, not clipped: the caller decides on dtype and range, and may write
    into it, for nobody else holds it. Where the card needs a noise level and none is given, the blind
    estimate of ``models.noise_level`` is used.

    Raises ``RestorerError`` for wrong channels, missing conditions, and non-finite or implausible
    values; what fails in a lower precision is tried once more in float32. All of this is decided on whole
    images, whichever ``traversal`` applies the model to them. A condition that leaves images alone has them
    given back by what would undo their blur.
    """

    def __init__(self, card: Card, model: RestorationModel, *, precision: str = "float32") -> None:
        if precision != "float32" and precision not in card.precisions:
            raise ValueError(
                f"{card.name}: {precision} was not measured to be safe; use {' or '.join(card.precisions)}"
            )
        self.card = card
        self.model = model
        self.precision = precision
        if isinstance(model, nn.Module):
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs

    @torch.inference_mode()
    def __call__(
        self, degraded_BCHW: Tensor, *, condition: Condition | None = None, traversal: Traversal = whole_image
    ) -> Tensor:
        """See the class. Batch of one shape; the condition's tensors have the same batch size."""
        condition = condition or Condition()
        if condition.left_alone and "operators" in self.card.needs and self._scale(condition) == 1:
            return degraded_BCHW.clone()
        self._check(degraded_BCHW, condition)
        if "noise_level" in self.card.needs and condition.noise_level_B is None:
            condition = replace(condition, noise_level_B=estimate_noise_level(degraded_BCHW))
        if self.precision == "float32":
            return self._guarded(degraded_BCHW, condition, traversal)
        try:
            with torch.autocast(degraded_BCHW.device.type, getattr(torch, self.precision)):
                return self._guarded(degraded_BCHW, condition, traversal)
        except RestorerError:
            return self._guarded(degraded_BCHW, condition, traversal)

    def differentiable(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """What a call gives, in float32 and unguarded, with the gradients that inference goes without.

        ``RestorerError`` as a call; a noise level that the card needs has to be given.
        """
        self._check(degraded_BCHW, condition)
        return self._run(degraded_BCHW, condition, whole_image)

    def to(self, device: torch.device) -> Restorer:
        """Moves the weights, where there are any; solvers follow their input."""
        if isinstance(self.model, torch.nn.Module):
            self.model.to(device)
        for inner in inner_parts(self.model):
            inner.to(device)
        return self

    @property
    def is_reentrant(self) -> bool:
        """Whether several threads may call it at a time: a network only reads its weights."""
        return isinstance(self.model, nn.Module) and not any(inner_parts(self.model))

    def compile(self) -> None:
        """Has ``torch.compile`` translate the networks at their first call; solvers stay as they are.

        Sums may then be rounded in another order: the last bits differ from those without.
        """
        if isinstance(self.model, nn.Module):
            self.model.compile()
        for inner in inner_parts(self.model):
            inner.compile()

    def _guarded(self, degraded_BCHW: Tensor, condition: Condition, traversal: Traversal) -> Tensor:
        restored_BCHW = self._run(degraded_BCHW, condition, traversal)
        scale, (batch, channels, height, width) = self._scale(condition), degraded_BCHW.shape
        wanted = (batch, channels, height * scale, width * scale)
        if tuple(restored_BCHW.shape) != wanted:
            raise RestorerError(
                "WRONG_SHAPE", f"{self.card.name} gave {tuple(restored_BCHW.shape)}, expected {wanted}"
            )
        if fault := find_fault(restored_BCHW, degraded_BCHW, condition.mask_B1HW):
            raise RestorerError(fault.reason, f"{self.card.name} gave {fault.what}")
        return restored_BCHW

    def _run(self, degraded_BCHW: Tensor, condition: Condition, traversal: Traversal) -> Tensor:
        scale = self._scale(condition)
        height, width = degraded_BCHW.shape[-2:]
        padding = self.padding(height, width)
        low, high = self.card.value_range
        if condition.guide_BPHW is not None and "guide" in self.card.needs:
            condition = replace(condition, guide_BPHW=self._guide(degraded_BCHW, condition.guide_BPHW, scale))
        if condition.mask_B1HW is not None:
            condition = replace(condition, mask_B1HW=_pad(condition.mask_B1HW, padding))
        if condition.frames_BTCHW is not None:
            frames_NCHW = _pad(condition.frames_BTCHW.flatten(0, 1), padding) * (high - low) + low
            frames_BTCHW = frames_NCHW.view(*condition.frames_BTCHW.shape[:2], *frames_NCHW.shape[1:])
            condition = replace(condition, frames_BTCHW=frames_BTCHW)
        model = _InRange(self._call, low, high)
        given_BCHW = traversal(model, _pad(degraded_BCHW, padding), condition, scale)
        # In place where tiles were joined here: of a large image a copy is as large as all else that is held.
        own_BCHW = given_BCHW.to(torch.float32, copy=given_BCHW is model.last_BCHW)
        return own_BCHW.sub_(low).div_(high - low)[..., : height * scale, : width * scale]

    def _guide(self, degraded_BCHW: Tensor, guide_BPHW: Tensor, scale: int) -> Tensor:
        """As the model sees it. A network gets one for each band, whole images decide which: tiles agree."""
        if isinstance(self.model, nn.Module) or getattr(self.model, "is_network", False):
            guide_BPHW = matched(guide_BPHW.to(degraded_BCHW), degraded_BCHW, scale)
        bottom, right = self.padding(*degraded_BCHW.shape[-2:])
        low, high = self.card.value_range
        return _pad(guide_BPHW, (bottom * scale, right * scale)) * (high - low) + low

    def _call(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        if isinstance(self.model, nn.Module):
            return call_network(self.model, degraded_BCHW, condition)
        return self.model(degraded_BCHW, condition)

    def _scale(self, condition: Condition) -> int:
        return self.card.scale if self.card.scale is not None else condition.scale

    def padding(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns that are added below and right of an image, to the card's multiple and minimum."""
        card = self.card

        def add(side: int) -> int:
            wanted = max(side, card.minimum_size)
            return -(-wanted // card.multiple_of) * card.multiple_of - side

        return add(height), add(width)

    def _check(self, degraded_BCHW: Tensor, condition: Condition) -> None:
        card, channels = self.card, degraded_BCHW.shape[1]
        if card.channels is not None and channels != card.channels:
            raise RestorerError(
                "BAND_MISMATCH",
                f"{card.name} takes {card.channels} channels, the image has {channels}; "
                'solver = "per_band" restores each by itself',
            )
        given = {
            "scale": True,
            "noise_level": True,
            "mask": condition.mask_B1HW is not None,
            "operators": bool(condition.operators),
            "frames": condition.frames_BTCHW is not None,
            "guide": condition.guide_BPHW is not None,
            "place": True,
        }
        for need in card.needs:
            if not given[need]:
                raise RestorerError("CONDITION_MISSING", f"{card.name} needs the {need} of the degradation")
        frames_BTCHW = condition.frames_BTCHW
        if frames_BTCHW is not None and frames_BTCHW.shape[2:] != degraded_BCHW.shape[1:]:
            sizes = f"{tuple(frames_BTCHW.shape[2:])}, the image {tuple(degraded_BCHW.shape[1:])}"
            raise RestorerError("FRAME_UNFIT", f"the frames of a scene are {sizes}; they must agree")
        guide_BPHW = condition.guide_BPHW if "guide" in (*card.needs, *card.takes) else None
        if guide_BPHW is not None:
            refuse_other_size(guide_BPHW, degraded_BCHW, self._scale(condition))
        seen = [each for each in (degraded_BCHW, frames_BTCHW, guide_BPHW) if each is not None]
        if not all(limits(each).isfinite().all() for each in seen):
            raise RestorerError("NONFINITE_INPUT", f"the input of {card.name} holds NaN or infinite values")


class _InRange:
    """The model on fractions: tiles go to the card's range one by one, and the image is not held twice."""

    def __init__(self, model: RestorationModel, low: float, high: float) -> None:
        self._model, self._low, self._high = model, low, high
        self.last_BCHW: Tensor | None = None
        """What the model gave last, which may be its own for further calls."""

    def __call__(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        in_range_BCHW = (degraded_BCHW * (self._high - self._low)).add_(self._low)
        self.last_BCHW = self._model(in_range_BCHW, condition)
        return self.last_BCHW


def inner_parts(model: RestorationModel) -> list[Restorer | nn.Module]:
    """What a solver holds as attributes that has weights: a denoiser, a wrapped restorer, a generator."""
    if isinstance(model, nn.Module):
        return []
    return [value for value in vars(model).values() if isinstance(value, Restorer | nn.Module)]


def _pad(image_BCHW: Tensor, padding: tuple[int, int]) -> Tensor:
    """Continues the image below and right; reflects where it is large enough, else repeats the edge."""
    bottom, right = padding
    height, width = image_BCHW.shape[-2:]
    if bottom and right and bottom < height and right < width:
        return F.pad(image_BCHW, (0, right, 0, bottom), mode="reflect")
    for amounts, fits in (((0, 0, 0, bottom), bottom < height), ((0, right, 0, 0), right < width)):
        if any(amounts):
            image_BCHW = F.pad(image_BCHW, amounts, mode="reflect" if fits else "replicate")
    return image_BCHW
