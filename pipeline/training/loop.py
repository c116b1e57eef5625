"""A worker's whole part in a run: read, go on or begin, step, look, keep, deliver. The engines call it.

OUT/<name>.safetensors and what ``pipeline.training.run_log`` lists; OUT/checkpoints as in
``pipeline.training.checkpoints``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.errors import RunStopped
from pipeline.ledger.output_errors import told_of_disk
from pipeline.storage.folder import Folder
from pipeline.training.checkpoint_writer import CheckpointWriter
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.data.collected import collected
from pipeline.training.early_stopping import is_exhausted
from pipeline.training.export import card_of, export, facts_of, stored_state
from pipeline.training.observed_steps import ObservedSteps
from pipeline.training.recipe.built_recipe import BuiltRecipe, check_start
from pipeline.training.recipe.identity import identity_of
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run_log import RunLog
from pipeline.training.step_meter import StepMeter
from pipeline.training.trackers import check_privacy, open_trackers
from pipeline.training.trainer import Trainer
from pipeline.training.validation.of_weights import WeightsValidation
from pipeline.training.validation.restorer import Validated
from pipeline.training.world import World
from pipeline.wording import number_of

READ_EVERY = 10
"""Steps from one look at the losses, the clock and the wish to stop to the next."""
ROWS = 2000
"""About so many rows of a table, however long the run."""


@dataclass(frozen=True)
class ProgressEvent:
    """What a run reports while it goes on."""

    step: int
    share: float
    """Of the length."""
    seconds_left: float | None
    values: dict[str, float] = field(default_factory=dict)
    """Losses, rates, and scores where there was a validation."""
    message: str = ""
    """A line that is worth keeping: going on, skipped images, a checkpoint."""


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    weights: str
    """Address of the weights with their card."""
    steps: int
    seconds: float
    scores: dict[str, float]
    """``validation_<degradation>_<metric>`` of the delivered weights."""
    skipped: int
    """Images that were not trained on."""


ProgressCallback = Callable[[ProgressEvent], None]


class Loop:
    """``loop()`` takes a run to its end, from wherever it was; raises ``RunStopped`` where it ends early."""

    def __init__(
        self,
        recipe: TrainingRecipe,
        output: Folder,
        world: World,
        on_progress: ProgressCallback,
        stopping: Callable[[], bool],
        trace: int | None = None,
    ) -> None:
        if recipe.has_private_data and not recipe.tracks_private:
            check_privacy(recipe.trackers)
        self._recipe, self._output, self._world = recipe, output, world
        self._report, self._stopping = on_progress, stopping
        built = BuiltRecipe.of(recipe)
        check_start(recipe)
        collection = collected(recipe, built)
        identity = identity_of(built, collection)
        self._collection, self._skipped = collection, collection.skipped
        self._facts = facts_of(built, collection, world)
        self._checkpoints = Checkpoints(output.child("checkpoints"), identity, keep=recipe.checkpoints.keep)
        self._writer = CheckpointWriter(self._checkpoints)
        names = recipe.trackers if world.leads else ()
        self._run_log = RunLog(output, identity, open_trackers(names, output, recipe.name, identity))
        self._trainer = Trainer(built, collection, world)
        self._steps = ObservedSteps(self._trainer, output, trace)
        self._step_meter = StepMeter(world)
        self._validate: WeightsValidation | None = None
        self._unscored: dict[str, str] = {}
        self._checked_at = self._kept_at = time.monotonic()
        self._last_row, self._is_exhausted = -1, False

    def __call__(self) -> TrainingResult:
        """Trains; the same result on every worker, but a generator's scores on the first one alone."""
        with told_of_disk(self._output.url):
            return self._trained()

    def _trained(self) -> TrainingResult:
        trainer = self._trainer
        self._resume()
        try:
            # Before the first step, so that what is wrong with it costs none.
            self._validate = WeightsValidation(trainer.built, trainer.samples, self._world)
            while trainer.progress < 1.0 and not self._is_exhausted:
                self._step_meter.add(*self._steps())
                self._guard_and_look()
            return self._finish()
        finally:
            self._steps.close()
            self._run_log.close()
            trainer.close()
            self._writer.close()
            self._collection.close()

    def _resume(self) -> None:
        if self._world.leads:
            self._checkpoints.check_writable()
        state = self._checkpoints.load(self._world.device)
        if state is not None:
            self._trainer.load_state_dict(state)
            self._say(f"going on from step {self._trainer.position.step}")
        if self._world.leads:
            self._run_log.resume(self._trainer.position.step)
            self._run_log.skipped(self._skipped)
            if self._skipped:
                first = next(f"{name}: {why}" for name, why in self._skipped.items())
                self._say(
                    f"{number_of(len(self._skipped), 'image')} left out, see skipped.json; the first: {first}"
                )

        self._is_exhausted = self._world.any(is_exhausted(self._run_log.rows, self._recipe))

    def _guard_and_look(self) -> None:
        step = self._trainer.position.step
        if (
            step % READ_EVERY
            and self._trainer.progress < 1.0
            and (self._world.size > 1 or not self._stopping())
        ):
            return
        values = self._step_meter.read()
        self._count_failures(values)
        self._record(values)
        recipe = self._recipe
        stop = self._world.any(self._stopping())
        keep = self._due(recipe.checkpoints.every_steps, recipe.checkpoints.every_minutes, self._kept_at)
        check = self._due(recipe.validation.every_steps, recipe.validation.every_minutes, self._checked_at)
        keep, check = self._world.any(keep or stop or check), self._world.any(check)
        begun = time.perf_counter()
        if keep:
            self._keep()
        if check and not stop and self._trainer.progress < 1.0:
            self._look()
        self._step_meter.pause(time.perf_counter() - begun)
        if stop and self._trainer.progress < 1.0:
            raise RunStopped(f"stopped at step {step}; {self._last_kept()}. The same command goes on")

    def _due(self, steps: int | None, minutes: float, since: float) -> bool:
        """By steps, or by the first worker's clock."""
        if steps is not None:
            # Looked at every few steps only: due where a multiple was passed since the last look.
            step = self._trainer.position.step
            return step // steps > max(0, step - READ_EVERY) // steps
        return self._world.leads and time.monotonic() - since >= 60.0 * minutes

    def _count_failures(self, values: dict[str, float]) -> None:
        position = self._trainer.position
        failed = round((1.0 - values.pop("finite")) * values.pop("steps"))
        losses = [value for name, value in values.items() if name.startswith("loss")]
        if not all(map(math.isfinite, losses)):
            failed = max(failed, 1)
        position.failed = position.failed + failed if failed else 0
        if position.failed >= self._recipe.guard.limit:
            raise RunStopped(
                f"stopped at step {position.step}: {position.failed} steps had losses or gradients that are "
                f"not finite; {self._last_kept()}. Lower the learning rate or clip the gradient, and start "
                "again in another OUT"
            )

    def _record(self, values: dict[str, float]) -> None:
        position, length = self._trainer.position, self._recipe.length
        rate = values["steps_per_second"]
        values["images_per_second"] = rate * self._recipe.batch
        values |= self._trainer.learning_rates() | self._steps.effort(rate)
        left: float | None = None
        if length.steps is not None and rate:
            left = (length.steps - position.step) / rate
        elif length.minutes is not None:
            left = max(0.0, 60.0 * length.minutes - position.seconds)
        if self._world.leads:
            if self._trainer.progress * ROWS >= self._last_row + 1 or self._trainer.progress >= 1.0:
                self._last_row = int(self._trainer.progress * ROWS)
                self._run_log.add({"step": position.step, "seconds": position.seconds, **values})
            self._report(ProgressEvent(position.step, min(1.0, self._trainer.progress), left, values))

    def _keep(self) -> None:
        self._kept_at = time.monotonic()
        if self._world.leads and not self._trainer.position.failed:
            self._writer.save(self._trainer.state_dict(), self._trainer.position.step)
            self._run_log.write()

    def _look(self) -> None:
        """Validation, sheet, weights so far."""
        self._checked_at = time.monotonic()
        step = self._trainer.position.step
        validated = self._deliver(finished=False)
        if self._world.leads:
            self._writer.wait()
            self._checkpoints.scored(step, validated.merit)
            self._run_log.write()
            self._write_report()
            shown = " ".join(f"{n.removeprefix('validation_')} {v:.3f}" for n, v in validated.columns.items())
            self._say(f"step {step}: {shown or 'no scores'}")
        self._is_exhausted = self._world.any(is_exhausted(self._run_log.rows, self._recipe))

    def _write_report(self) -> None:
        from pipeline.training.report import write_report  # for the start-up of every worker

        write_report(self._run_log, self._recipe, self._trainer.built)

    def _finish(self) -> TrainingResult:
        self._take_the_best() if self._is_exhausted else self._keep()
        scores = self._deliver(finished=True).columns
        if self._world.leads:
            self._writer.wait()
            self._run_log.write()
            self._write_report()
        self._world.wait()
        address, position = self._output.uri(f"{self._recipe.name}.safetensors"), self._trainer.position
        return TrainingResult(address, position.step, position.seconds, scores, len(self._skipped))

    def _take_the_best(self) -> None:
        self._writer.wait()
        self._world.wait()
        if (best := self._checkpoints.load_best(self._world.device)) is not None:
            self._trainer.load_state_dict(best)
        self._say(f"no gain in {self._recipe.validation.patience} validations: the best step is delivered")

    def _deliver(self, *, finished: bool) -> Validated:
        """Every worker validates, the first one writes."""
        recipe, position = self._recipe, self._trainer.position
        state = stored_state(self._world.from_leader(self._trainer.delivered()), recipe.export)
        assert self._validate is not None
        validated = self._validate(state)
        self._tell_of_unscored(validated.errors)
        if self._world.leads:
            facts = self._facts | {
                "finished": finished,
                "steps": position.step,
                "minutes": round(position.seconds / 60.0, 1),
                "validation": validated.described(),
            }
            export(self._output, recipe, card_of(recipe, facts), state)
            self._run_log.sheet(position.step, validated.sheet)
            found = validated.columns | validated.baselines
            self._run_log.add({"step": position.step, "seconds": position.seconds, **found})
        return validated

    def _tell_of_unscored(self, errors: dict[str, str]) -> None:
        """Once of each: a score of fewer images is another score."""
        if new := errors.keys() - self._unscored.keys():
            self._unscored |= errors
            first = min(new)
            self._say(f"validation: {len(new)} without a score; the first: {first}: {errors[first]}")

    def _last_kept(self) -> str:
        self._writer.wait()
        newest = self._checkpoints.newest
        return (
            f"the last good checkpoint is {self._checkpoints.uri(newest)}" if newest else "no checkpoint yet"
        )

    def _say(self, message: str) -> None:
        if self._world.leads:
            step, share = self._trainer.position.step, min(1.0, self._trainer.progress)
            self._report(ProgressEvent(step, share, None, message=message))
