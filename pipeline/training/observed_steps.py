"""A trainer's steps, looked at from outside: counted, and traced where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pipeline.storage.folder import Folder
from pipeline.training.steps.flops import FlopCount, memory_gigabytes, peak_of
from pipeline.training.trace import StepTrace
from pipeline.training.trainer import Trainer


class ObservedSteps:
    """``steps()`` takes the next one, ``effort(rate)`` says what it took; what is learnt does not change."""

    def __init__(self, trainer: Trainer, output: Folder, trace: int | None) -> None:
        self._trainer, self._device = trainer, trainer.world.device
        self._trace = StepTrace(output, trace, self._device) if trace and trainer.world.leads else None
        # Code that is compiled must not be compiled for the count.
        self._is_counted, self._flops = trainer.recipe.resources.compile, 0

    def __call__(self) -> tuple[Mapping[str, Tensor], float]:
        """As ``Trainer.step``."""
        if not self._is_counted:
            with FlopCount() as count:
                taken = self._trainer.step()
            self._is_counted, self._flops = True, count.total
            return taken
        if self._trace is None:
            return self._trainer.step()
        self._trace.before()
        taken = self._trainer.step()
        self._trace.after()
        return taken

    def effort(self, steps_per_second: float) -> dict[str, float]:
        """Memory, and operations a second of this worker; their share of the device's where that is known."""
        found = {"memory_gigabytes": memory_gigabytes(self._device)}
        if self._flops:
            found["flops_per_second"] = self._flops * steps_per_second
            if (peak := peak_of(self._device, self._trainer.recipe.precision)) is not None:
                found["model_flops_utilisation"] = found["flops_per_second"] / peak
        return found

    def close(self) -> None:
        """Writes a trace that was not ended."""
        if self._trace is not None:
            self._trace.close()
