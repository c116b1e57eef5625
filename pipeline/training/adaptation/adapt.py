"""Weights fitted to an archive without clean images; what did not help by held-out SURE is undone.

Shapes: B batch, C channels, H and W height and width, N tiles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.card import Card
from models.networks import NetworkModel
from models.weights import build_restorer
from pipeline.hashing import seed_of
from pipeline.training.adaptation.archive_noise import ArchiveNoise, measure_noise
from pipeline.training.adaptation.clock import Clock
from pipeline.training.adaptation.gains import ADAPTED, folded, learning
from pipeline.training.adaptation.judge import Judge, Parts, restore_with
from pipeline.training.adaptation.losses import ADAPTATION_LOSSES
from pipeline.training.adaptation.tiles import TILE, Tile, split_tiles

OnLook = Callable[[int, float], None]
"""Hears of a look at the held-out tiles: steps so far, and the estimated gain in dB."""

CROP = 96
BATCH = 4
_PATIENCE = 4
"""Looks without a gain after which the rest of the time is left."""


@dataclass(frozen=True)
class Adapted:
    """What came of an adaptation."""

    card: Card
    state: dict[str, Tensor]
    kept: bool
    """Whether it is other than the weights before."""
    gain_db: float
    """Estimated on tiles that were not learnt from; 0 where it was undone."""
    steps: int
    noise: ArchiveNoise


@dataclass(frozen=True)
class Settings:
    """How to adapt."""

    minutes: float = 10.0
    loss: str = "sure"
    weights: str = "gains"
    seed: int = 0
    steps: int | None = None
    """Repeats exactly, instead of ``minutes``."""


def adapt(
    card: Card,
    state: dict[str, Tensor],
    images_1CHW: Sequence[Tensor],
    settings: Settings,
    *,
    device: torch.device,
    on_look: OnLook = lambda steps, gain_db: None,
) -> Adapted:
    """Fits weights to images in [0, 1] that have the noise of an archive. ``ValueError`` where it cannot.

    Weights that did not help by held-out tiles are given back as they were.
    """
    _check(card)
    noise = measure_noise(images_1CHW)
    tiles, held = split_tiles(images_1CHW, settings.seed, device)
    restorer = build_restorer(card, {name: tensor.clone() for name, tensor in state.items()})
    network = restorer.to(device).model
    assert isinstance(network, NetworkModel)
    judge = Judge(network, card, held, noise, settings.seed)
    before = judge()
    learner = _Learner(network, card, tiles, noise, settings)
    best, steps = _best(learner, judge, before, settings, on_look)
    kept = judge.is_better(before, best)
    gain_db = judge.gain_db(before, best) if kept else 0.0
    record = {
        "of": card.weights_sha256,
        "kept": kept,
        "weights": settings.weights,
        "loss": settings.loss,
        "steps": steps,
        "estimated_gain_db": round(gain_db, 3),
        "noise": noise.described(),
    }
    card = dataclasses.replace(card, training=card.training | {"adapted": record}, weights_sha256="")
    if kept:
        state = {name: tensor.cpu() for name, tensor in folded(network.network).items()}
    return Adapted(card, state, kept, gain_db, steps, noise)


def _best(
    learner: _Learner, judge: Judge, before: Parts, settings: Settings, on_look: OnLook
) -> tuple[Parts, int]:
    """Learns until time is over or nothing is gained; the network is left as it was at its best look."""
    clock = Clock(settings.minutes, settings.steps)
    best, found, worse = before, learner.copied(), 0
    while worse < _PATIENCE and clock.goes_on():
        while not clock.look_is_due():
            learner.step()
            clock.steps += 1
        now = judge()
        on_look(clock.steps, judge.gain_db(before, now))
        worse += 1
        if judge.error(now) < judge.error(best):
            best, found, worse = now, learner.copied(), 0
    learner.put_back(found)
    return best, clock.steps


def _check(card: Card) -> None:
    if card.scale != 1:
        raise ValueError(
            f"{card.name} enlarges; only restorers that do not can learn from noisy images alone"
        )
    if needs := [each for each in card.needs if each not in ("noise_level", "scale")]:
        raise ValueError(f"{card.name} needs the {needs[0]} of the degradation; take a denoiser")


class _Learner:
    """The network's steps on tiles that are learnt from."""

    def __init__(
        self, network: NetworkModel, card: Card, tiles: list[Tile], noise: ArchiveNoise, settings: Settings
    ) -> None:
        self._network, self._card, self._tiles, self._noise = network, card, tiles, noise
        self._loss = ADAPTATION_LOSSES[settings.loss]
        self._groups = ADAPTED[settings.weights](network)
        self._optimizer = torch.optim.Adam(self._groups)
        self._rng = Generator().manual_seed(seed_of(str(settings.seed), "adapt"))

    def step(self) -> None:
        """One step of the optimizer; one whose loss is not finite moves nothing."""
        chosen = torch.randint(len(self._tiles), (BATCH,), generator=self._rng).tolist()
        top, left = (torch.randint(0, (TILE - CROP) // 16 + 1, (2,), generator=self._rng) * 16).tolist()
        tiles = [self._tiles[place] for place in chosen]
        noisy_BCHW = torch.cat([tile[..., top : top + CROP, left : left + CROP] for tile, _ in tiles])
        level_B = torch.cat([level_1 for _, level_1 in tiles])
        self._optimizer.zero_grad(set_to_none=True)
        restore = restore_with(self._network, self._card, level_B)
        loss = self._loss(restore, noisy_BCHW, self._noise, self._rng)
        loss.backward()  # type: ignore[no-untyped-call]
        if bool(loss.isfinite()):
            self._optimizer.step()

    def copied(self) -> list[Tensor]:
        """What is learnt, as it is now."""
        return [parameter.detach().clone() for parameter in learning(self._groups)]

    def put_back(self, values: list[Tensor]) -> None:
        """As it was."""
        for parameter, value in zip(learning(self._groups), values, strict=True):
            parameter.data.copy_(value)
