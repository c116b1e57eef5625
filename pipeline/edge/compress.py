"""Restorers made light, with loss and speed measured beside the given one on the user's own images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.names import unknown
from pipeline.edge.compressed import Asked, Compressed, Images, Limits, Method, Retraining
from pipeline.edge.export import find_restorer
from pipeline.edge.int8 import to_int8
from pipeline.edge.retraining import distil, prune
from pipeline.errors import JobError, RestoraError
from pipeline.storage.output_file import check_output_file, write_output


@dataclass(frozen=True)
class _Way:
    """One method."""

    work: Method
    ending: str
    """Of its file."""
    suffix: str
    """Of its name."""
    most_loss: float
    """In dB, where nothing else is said."""
    cuts: bool = True
    """Whether the network becomes smaller, and always trains; else it does for a length that was given."""


_WAYS = {
    "int8": _Way(to_int8, ".onnx", "int8", 0.1, cuts=False),
    "prune": _Way(prune, ".safetensors", "pruned", 0.2),
    "distil": _Way(distil, ".safetensors", "student", 0.2),
}
METHODS = tuple(_WAYS)


def retrains(method: str, retraining: Retraining | None) -> bool:
    """Whether it trains, for minutes, and can be stopped and gone on with."""
    return method in _WAYS and (_WAYS[method].cuts or retraining is not None)


def _check_rounding(retraining: Retraining) -> None:
    """``JobError`` where int8 was given what is for cutting channels, or a training without a length."""
    if (retraining.keep, retraining.importance) != (Retraining.keep, Retraining.importance):
        raise JobError("--method int8 cuts no channels: leave out --keep and --importance")
    if not retraining.has_length:
        raise JobError(
            "--method int8 trains only for a length: give --minutes or --steps, or leave out the others"
        )


def compress(
    weights: str,
    method: str,
    images: Images,
    file: Path | None = None,
    limits: Limits | None = None,
    retraining: Retraining | None = None,
    *,
    on_progress: Callable[[Any], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Compressed:
    """Writes the restorer made light; by default as ``NAME-int8.onnx``, ``NAME-pruned.safetensors`` or
    ``NAME-student.safetensors`` in the current folder.

    ``JobError`` where the method does not suit the network (by name, with the cure), where it loses more than
    ``limits`` allow, and where what does not is no faster; then nothing is written. ``RunStopped`` where
    ``stopping`` ends a training, which the same call goes on with.
    """
    if method not in _WAYS:
        raise JobError(f"--method: {unknown('method', method, METHODS)}")
    way, limits = _WAYS[method], limits or Limits()
    if retraining is not None and not way.cuts:
        _check_rounding(retraining)
    restorer = find_restorer(weights)
    target = file or Path(f"{restorer.card.name}-{way.suffix}{way.ending}")
    check_output_file(target, way.ending, [weights])
    if retrains(method, retraining) and target.exists():
        raise JobError(f"{target}: is there already; give another name, or move it away before a training")
    most_loss = way.most_loss if limits.most_loss is None else limits.most_loss
    asked = Asked(
        weights,
        images,
        target,
        most_loss,
        limits.least_speedup,
        retraining or Retraining(),
        on_progress,
        stopping,
    )
    try:
        done = way.work(restorer, asked)
    except RestoraError:
        raise
    except ValueError as error:
        raise JobError(f"{weights}: {error}") from error
    write_output(target, done.content)
    return done
