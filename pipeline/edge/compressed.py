"""What is asked of a compression, and what it reached: shared by all methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.card import Card
from models.restorer import Restorer
from pipeline.errors import JobError


@contextmanager
def named_by_option(field: str, option: str) -> Iterator[None]:
    """Nobody wrote a recipe: what a training says of its ``field`` is said of the option that fills it."""
    try:
        yield
    except JobError as error:
        if not str(error).startswith(field):
            raise
        raise JobError(f"{option}{str(error).removeprefix(field)}") from error


@dataclass(frozen=True)
class Limits:
    """What a compressed restorer has to keep and to gain."""

    most_loss: float | None = None
    """PSNR in dB; ``None``: what is usual for the method."""
    least_speedup: float = 1.05
    """Times float32, in turns."""


@dataclass(frozen=True)
class Images:
    """What is calibrated or trained on, and measured on."""

    uri: str
    degradation: str | None = None
    """A preset; by default what the restorer is for, where its card says that."""
    count: int = 8
    """Measured on at most."""
    side: int | None = 256
    """Only the middle so many pixels of each; ``None``: whole images."""
    validate: str | None = None
    """Others to measure on; ``None``: the same."""


@dataclass(frozen=True)
class Retraining:
    """How a smaller network learns."""

    keep: float = 0.5
    """The share of channels that is left in every layer."""
    minutes: float | None = None
    steps: int | None = None
    """Its length is one of both; neither: 20 minutes."""
    importance: str = "taylor"
    """Which channels are kept, of ``pipeline.edge.retraining.IMPORTANCES``."""
    sets: tuple[str, ...] = ()
    """``path=value`` lines over its recipe."""
    device: str | None = None
    threads: int | None = None

    @property
    def has_length(self) -> bool:
        """Whether minutes or steps were given."""
        return self.minutes is not None or self.steps is not None


def retraining_of(**given: Any) -> Retraining | None:
    """Of what was given, leaving out what is ``None``; ``JobError`` for what cannot be."""
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        return None
    how = Retraining(**said)
    if not 0 < how.keep < 1:
        raise JobError(f"--keep: must be above 0 and below 1, got {how.keep:g}")
    if how.minutes is not None and how.steps is not None:
        raise JobError("--minutes, --steps: give one of both")
    return how


@dataclass(frozen=True)
class Asked:
    """One compression, checked."""

    weights: str
    images: Images
    file: Path
    most_loss: float
    least_speedup: float
    retraining: Retraining
    on_progress: Callable[[Any], None] = lambda _: None
    """Hears of a training as ``pipeline.training.run.train`` tells it."""
    stopping: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Compressed:
    """What a compression reached."""

    file: Path
    content: bytes = field(repr=False)
    before: float
    """PSNR in dB of what was given, mean over the images."""
    after: float
    speedup: float
    """Times the same in float32 and, where that was given, onnxruntime; in turns on this machine."""
    what: str
    """What was made smaller, in words."""
    beside_pytorch: float | None = None
    """Times float32 in PyTorch; ``None`` where ``speedup`` is that."""
    layers: int = 0
    """That are int8 now."""
    kept: int = 0
    """That stay float32, because int8 of them loses too much."""

    @property
    def loss(self) -> float:
        """In dB."""
        return self.before - self.after

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)


def usual_degradation(card: Card) -> str:
    """What a restorer of its kind is measured on."""
    if (card.scale or 1) > 1:
        return f"bicubic-x{card.scale}"
    if "noise_level" in card.needs:
        return "awgn-25"
    raise JobError(f"{card.name}: say with --degradation what it restores; see restora list degradations")


Method = Callable[[Restorer, Asked], Compressed]
"""Raises ``ValueError`` where too much is lost or nothing gained, with the figures and the cure."""
