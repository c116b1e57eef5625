"""A trace of some steps, for chrome://tracing and Perfetto: where the time goes, on host and device."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from pipeline.storage.folder import Folder
from pipeline.storage.scratch import scratch

TRACE = "trace.json"
SKIPPED = 5
"""Steps before it begins: the first ones choose algorithms and compile."""


class StepTrace:
    """``trace.before(step)`` and ``trace.after(step)`` of the steps of a session; writes OUT/trace.json."""

    def __init__(self, folder: Folder, steps: int, device: torch.device) -> None:
        self._folder, self._left, self._skip = folder, steps, SKIPPED
        activities = [ProfilerActivity.CPU]
        if device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=activities, record_shapes=False)
        self._runs = False

    def before(self) -> None:
        """A step is about to be taken."""
        if self._skip:
            self._skip -= 1
        elif self._left and not self._runs:
            self._runs = True
            self._profile.start()

    def after(self) -> None:
        """It was taken."""
        if self._runs:
            self._left -= 1
            if not self._left:
                self.close()

    def close(self) -> None:
        """Writes what was traced, if anything; once."""
        if not self._runs:
            return
        self._runs, self._left = False, 0
        self._profile.stop()
        with scratch("trace") as place:
            path = place / TRACE
            self._profile.export_chrome_trace(str(path))
            self._folder.put_file(TRACE, path)
