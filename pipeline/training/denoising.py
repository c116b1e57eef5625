"""A denoiser in training: everything that changes from step to step, and what comes out of it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import torch
from torch import Generator

from models.card import Card
from models.networks import build_network
from models.weights import save_weights
from pipeline.training.checkpoint import Position, load_checkpoint, save_checkpoint
from pipeline.training.data import Photographs, RandomPatches, digest
from pipeline.training.muon import Muon
from pipeline.training.settings import DenoiserSettings
from pipeline.training.steps import MovingAverage, denoising_step, learning_rate
from pipeline.training.validation import centre, validate

VALIDATED_SIDE = 256
"""Pixels of the middle of each validation photograph that are scored while training."""


class DenoiserTraining:
    """One run: the network, its optimiser, its average, its random numbers and how far it has come."""

    def __init__(self, settings: DenoiserSettings, photographs: Photographs) -> None:
        torch.manual_seed(settings.seed)
        self.settings = settings
        self.data_sha256 = digest(photographs)
        self.network = build_network(settings.architecture, settings.arguments)
        self.average = MovingAverage(self.network, settings.average_decay)
        self.position = Position()
        self._optimiser = Muon(self.network.parameters(), lr=settings.learning_rate)
        self._rng = Generator().manual_seed(settings.seed)
        self._patches = RandomPatches(list(photographs.values()), settings.patch_size, settings.busiest_of)

    @property
    def identity(self) -> str:
        """SHA-256 of settings and photographs: what a checkpoint belongs to."""
        return hashlib.sha256(f"{self.settings.model_dump_json()} {self.data_sha256}".encode()).hexdigest()

    def step(self, progress: float) -> float:
        """One step at ``progress`` in [0, 1) of the schedule; returns the loss and moves the position."""
        started, settings = time.perf_counter(), self.settings
        rate = learning_rate(progress, peak=settings.learning_rate, warm_up=settings.warm_up)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        low, high = settings.noise_levels
        loss = denoising_step(
            self.network,
            self._optimiser,
            self._patches(settings.batch_size, self._rng).float() / 255.0,
            levels=(low / 255.0, high / 255.0),
            clip_gradient=settings.clip_gradient,
            rng=self._rng,
        )
        self.average.update(self.network, self.position.step)
        self.position.step += 1
        self.position.seconds += time.perf_counter() - started
        return loss

    def save(self, path: Path) -> None:
        """Writes the checkpoint."""
        save_checkpoint(
            path,
            identity=self.identity,
            position=self.position,
            network=self.network,
            average=self.average.state,
            optimiser=self._optimiser,
            rng=self._rng,
        )

    def resume(self, path: Path) -> None:
        """Goes on from the checkpoint, if there is one; ``JobError`` where it is of another run."""
        self.position = load_checkpoint(
            path,
            identity=self.identity,
            network=self.network,
            average=self.average.state,
            optimiser=self._optimiser,
            rng=self._rng,
        )

    def validate(self, photographs: Photographs) -> dict[str, float]:
        """PSNR in dB of the averaged weights, by noise level in 8-bit levels."""
        averaged = build_network(self.settings.architecture, self.settings.arguments).eval()
        averaged.load_state_dict(self.average.state)
        return validate(
            averaged, {name: centre(pixels, VALIDATED_SIDE) for name, pixels in photographs.items()}
        )

    def export(self, path: Path, facts: dict[str, object]) -> None:
        """Writes the averaged weights with their card; ``facts`` go into the card's ``training``."""
        settings = self.settings
        card = Card(
            name=settings.name,
            summary=settings.summary,
            task="denoising",
            channels=settings.arguments.get("channels", 3),
            multiple_of=2,
            minimum_size=2,
            halo=getattr(self.network, "halo", None),
            needs=tuple(getattr(self.network, "conditions", ())),
            architecture=settings.architecture,
            arguments=settings.arguments,
            source="Zhang, Zuo, Zhang: FFDNet, IEEE TIP 2018; trained from scratch",
            training={**self._protocol(), **facts},
        )
        save_weights(path, card, self.average.state)

    def _protocol(self) -> dict[str, object]:
        return {
            "settings": self.settings.model_dump(mode="json"),
            "noise": "white Gaussian, float, not clipped",
            "loss": "mean absolute error",
            "optimiser": "Muon (Jordan 2024), Adam for biases; linear warm-up, cosine to zero",
            "steps": self.position.step,
            "minutes": round(self.position.seconds / 60.0, 1),
            "data_sha256": self.data_sha256,
        }
