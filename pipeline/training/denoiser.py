"""Trains a denoiser on photographs: ``python -m pipeline.training.denoiser --help``.

The same command run again goes on from its checkpoint. The learning rate follows the share of the
budget that is spent, so that a run on a busy machine still ends with a finished schedule.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import typer

from pipeline.errors import JobError, RestoraError
from pipeline.training.checkpoint import Position
from pipeline.training.data import Photographs, read_photographs, read_sources
from pipeline.training.denoising import VALIDATED_SIDE, DenoiserTraining
from pipeline.training.settings import DenoiserSettings


@dataclass(frozen=True)
class Budget:
    """What a run may cost: time, or for runs that must repeat exactly, steps."""

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None) or not (self.minutes or self.steps or 0) > 0:
            raise JobError("give either --minutes or --steps, above zero")

    def progress(self, position: Position) -> float:
        """The share that is spent; 1 or more ends the run."""
        if self.steps is not None:
            return position.step / self.steps
        assert self.minutes is not None
        return position.seconds / (60.0 * self.minutes)


@dataclass(frozen=True)
class Journal:
    """Where a run writes, and what it is scored on."""

    output: Path
    checkpoint: Path
    validation: Photographs = field(default_factory=dict)
    sources: list[dict[str, str]] = field(default_factory=list)
    """Package, file, licence and author of each photograph, for the card."""

    def report(self, training: DenoiserTraining, progress: float, losses: list[float]) -> None:
        """Checkpoint, validation, weights with their card, one line of progress."""
        training.save(self.checkpoint)
        scores = training.validate(self.validation) if self.validation else {}
        training.export(self.output, self._facts(progress, scores))
        position = training.position
        shown = " ".join(f"{sigma}:{score:.2f}" for sigma, score in scores.items())
        loss = f"{sum(losses) / len(losses):.5f}" if losses else "-"
        typer.echo(
            f"{time.strftime('%H:%M:%S')} {100 * progress:5.1f} %  step {position.step}  "
            f"{position.seconds / 60:.1f} min  loss {loss}  PSNR {shown}"
        )

    def _facts(self, progress: float, scores: dict[str, float]) -> dict[str, object]:
        protocol = f"middle {VALIDATED_SIDE} x {VALIDATED_SIDE}, noise not clipped, output rounded to 8 bits"
        return {
            "finished": progress >= 1.0,
            "hardware": f"{torch.get_num_threads()} threads on {_processor()}",
            "torch": torch.__version__,
            "photographs": self.sources,
            "validation": {
                "psnr_rgb_db": {sigma: round(score, 2) for sigma, score in scores.items()},
                "photographs": sorted(self.validation),
                "protocol": protocol,
            },
        }


def run(training: DenoiserTraining, budget: Budget, journal: Journal) -> None:
    """Goes on from the checkpoint until the budget is spent; reports at intervals and at the end."""
    training.resume(journal.checkpoint)
    interval = 60.0 * training.settings.validate_minutes
    due, losses = training.position.seconds + interval, list[float]()
    while (progress := budget.progress(training.position)) < 1.0:
        losses.append(training.step(progress))
        if training.position.seconds >= due:
            journal.report(training, progress, losses)
            due, losses = training.position.seconds + interval, []
    journal.report(training, 1.0, losses)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main(
    photographs: Annotated[Path, typer.Option(help="Folder of photographs to train on.")],
    output: Annotated[Path, typer.Option(help="Where the weights go; rewritten at every validation.")],
    settings: Annotated[Path, typer.Option(help="TOML file.")] = Path("conf/train/ffdnet-colour.toml"),
    validate: Annotated[Path | None, typer.Option(help="Folder of photographs to score on.")] = None,
    sources: Annotated[Path | None, typer.Option(help="Table of licences, for the card.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File to go on from [beside the output].")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of a run that must repeat exactly.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch [all cores].")] = None,
) -> None:
    """Trains a denoiser and writes its weights with their card."""
    try:
        budget = Budget(minutes, steps)
        if threads:
            torch.set_num_threads(threads)
        chosen = DenoiserSettings.read(settings)
        channels = chosen.arguments.get("channels", 3)
        training_set = read_photographs(photographs, channels)
        journal = Journal(
            output=output,
            checkpoint=checkpoint or output.with_suffix(".checkpoint"),
            validation=read_photographs(validate, channels) if validate else {},
            sources=read_sources(sources, training_set) if sources else [],
        )
        run(DenoiserTraining(chosen, training_set), budget, journal)
    except RestoraError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
