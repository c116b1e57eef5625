"""Weights of other people's tools: architecture and card are found in the weights.

Those of SwinIR and Restormer fit our own networks. Of others spandrel (MIT, the extra ``spandrel``) knows
some forty by the names and shapes of their tensors, and more where spandrel-extra-arches is installed beside
it. What it says of one becomes a card; what it does not say is taken to be the worst.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import pickle
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from models.card import Card
from models.contract import Condition, RestorerError
from models.networks import build_network, card_facts
from models.networks.released import network_of
from models.restorer import Restorer
from models.weights import build_restorer
from pipeline.errors import JobError, describe
from pipeline.hashing import sha256_hex
from pipeline.recipe.torchvision_stub import CALLED_BY, importable_torchvision, torchvision_works

_TAKE_NOISE_LEVEL = {"DRUNet"}
"""Architectures of spandrel whose last input channel is the noise level; left alone, spandrel says 15/255."""


def has_card(content: bytes) -> bool:
    """Whether a safetensors file carries a card of ours; ``ValueError`` where it has no whole header."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
        return "card" in (header.get("__metadata__") or {})
    except (ValueError, AttributeError):
        raise ValueError("not a whole safetensors file; fetch or export it again") from None


def load_spandrel(content: bytes, name: str) -> Restorer:
    """A restorer from the bytes of a file of weights without a card, called ``name``.

    Nothing in the file is ever run: only tensors are read. ``JobError`` for a file that wants more, that
    is cut off, or whose architecture spandrel does not know.
    """
    load = _tensors_of_safetensors if name.lower().endswith(".safetensors") else _tensors_of_pickle
    state = load(content)
    if (ours := network_of(state)) is not None:
        return _restorer_of_ours(*ours, name=Path(name).stem, digest=sha256_hex(content))
    model = _described(state)
    return Restorer(_card(model, Path(name).stem, sha256_hex(content)), SpandrelModel(model))


class SpandrelModel(nn.Module):
    """A model of spandrel behind the call of ``RestorationModel``, in [0, 1], one image at a time."""

    def __init__(self, described: Any) -> None:
        super().__init__()
        self.network = described.model.eval().requires_grad_(False)
        self._call = described

    def forward(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        """``scale`` times the height and width; what fails inside is a ``RestorerError`` with its words."""
        try:
            return self._restored(degraded_BCHW, condition)
        except Exception as error:  # each architecture of spandrel fails in its own way
            fault = f"{self._call.architecture.id} failed: {describe(error)}"
            raise RestorerError("RESTORER_FAILED", fault) from error

    def _restored(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        if self._call.architecture.id in _TAKE_NOISE_LEVEL:
            assert condition.noise_level_B is not None, "the card needs it"
            level_B = condition.noise_level_B.to(degraded_BCHW).expand(len(degraded_BCHW))
            map_B1HW = level_B.view(-1, 1, 1, 1).expand_as(degraded_BCHW[:, :1])
            restored_BCHW: Tensor = self.network(torch.cat((degraded_BCHW, map_B1HW), dim=1))
            return restored_BCHW
        masked = condition.mask_B1HW is not None and self._call.purpose == "Inpainting"
        each = [degraded_BCHW] if not masked else [degraded_BCHW, self._missing(degraded_BCHW, condition)]
        singles = (tuple(tensor[i : i + 1] for tensor in each) for i in range(len(degraded_BCHW)))
        return torch.cat([self._call(*single) for single in singles])

    def _missing(self, degraded_BCHW: Tensor, condition: Condition) -> Tensor:
        assert condition.mask_B1HW is not None
        missing_B1HW = (condition.mask_B1HW <= 0.5).to(degraded_BCHW)
        return missing_B1HW.expand(len(degraded_BCHW), -1, -1, -1)


def _restorer_of_ours(
    architecture: str, arguments: dict[str, Any], state: dict[str, Tensor], *, name: str, digest: str
) -> Restorer:
    """Our own network with these weights: its halo is known, and so tiles of it."""
    with torch.device("meta"):
        facts = card_facts(build_network(architecture, arguments))
    card = Card(
        name=name,
        summary=f"{architecture}, weights of other people.",
        task="super-resolution" if facts["scale"] > 1 else "general",
        architecture=architecture,
        arguments=arguments,
        weights_sha256=digest,
        licence="NOASSERTION",
        source=f"{name}, told by its tensors",
        **facts,
    )
    return build_restorer(card, state)


def _tensors_of_safetensors(content: bytes) -> dict[str, Any]:
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise JobError(f"not a whole safetensors file ({error}); fetch or export it again") from None


def _tensors_of_pickle(content: bytes) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():  # torch says in two ways what becomes one error here
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise JobError(_refusal(str(error))) from None
    except Exception as error:  # torch.load raises whatever its archive and pickle readers meet
        if "TorchScript" in str(error):
            raise JobError(_refusal(str(error))) from None
        raise JobError(
            f"not a whole file of PyTorch weights ({describe(error)}); fetch or export it again"
        ) from None
    if not isinstance(state, dict) or not state:
        raise JobError(f"holds a {type(state).__name__}, not named tensors; save model.state_dict() instead")
    return state


def _refusal(reason: str) -> str:
    """What torch says at length, in one line and without its advice to load the file all the same."""
    called = re.search(r"GLOBAL ([\w.]+\w)", reason)
    wish = f"this pickle wants to run {called[1]}" if called else "this file holds more than tensors"
    return (
        f"refused: {wish}, and weights need no code. Where its author is trusted, load it there and save "
        "the tensors alone, with safetensors.torch.save_file"
    )


def _described(state: dict[str, Any]) -> Any:
    """spandrel's descriptor of the model that these tensors belong to."""
    spandrel = _spandrel()
    try:
        model = spandrel.ModelLoader("cpu").load_from_state_dict(state)
    except spandrel.UnsupportedModelError:
        raise JobError(
            f"no architecture that spandrel {spandrel.__version__} knows has tensors such as "
            f"{', '.join(map(str, list(state)[:3]))}; use weights of a known one, or a safetensors file with "
            "a card of ours; spandrel-extra-arches adds some, mind their licences"
        ) from None
    except Exception as error:  # each architecture of spandrel fails in its own way
        fault = " ".join(str(error).split())[:200]
        raise JobError(f"spandrel cannot build the model of these weights: {fault}") from error
    if model.architecture.id in CALLED_BY and not torchvision_works():
        raise JobError(
            f"{model.architecture.id} needs a torchvision that works beside this torch; install the release "
            "and build that belong to it"
        )
    return model.float()


def _card(model: Any, name: str, digest: str) -> Card:
    if model.input_channels != model.output_channels:
        raise JobError(
            f"takes {model.input_channels} channels and gives {model.output_channels}; a restorer gives as "
            "many as it takes"
        )
    spandrel, inpaints = _spandrel(), model.purpose == "Inpainting"
    told = model.architecture.id in _TAKE_NOISE_LEVEL
    tags = f" ({', '.join(model.tags)})" if model.tags else ""
    return Card(
        name=name,
        summary=f"{model.architecture.name}{tags}, weights of other people.",
        task=_task(model),
        scale=model.scale,
        channels=model.input_channels,
        multiple_of=model.size_requirements.multiple_of,
        minimum_size=max(model.size_requirements.minimum, 1),
        # Nothing tells the receptive field or what was measured in half precision: whole images, float32.
        halo=None,
        tile_exact=False,
        precisions=("float32",),
        needs=("mask",) if inpaints else ("noise_level",) if told else (),
        architecture=f"spandrel {model.architecture.id}",
        arguments={"tags": list(model.tags), "square": model.size_requirements.square},
        weights_sha256=digest,
        licence="NOASSERTION",
        source=f"{name}, read by spandrel {spandrel.__version__}",
    )


def _task(model: Any) -> str:
    if model.purpose == "Inpainting":
        return "inpainting"
    if model.architecture.id in _TAKE_NOISE_LEVEL:
        return "denoising"
    return "super-resolution" if model.scale > 1 else "general"


def _spandrel() -> Any:
    """The library, imported when first asked for; ``JobError`` with the cure where it is not installed."""
    if (imported := sys.modules.get("spandrel")) is not None:
        return imported
    if importlib.util.find_spec("spandrel") is None:
        raise JobError("weights without a card of ours need spandrel: pip install 'restora[spandrel]'")
    with importable_torchvision():
        library = importlib.import_module("spandrel")
        if importlib.util.find_spec(_EXTRA) is not None:
            importlib.import_module(_EXTRA).install(ignore_duplicates=True)
        return library


_EXTRA = "spandrel_extra_arches"
"""Architectures whose licences forbid some uses: known where a user has installed them, never by us."""
