"""Where results wait on this machine's disk until their unit is done."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from pipeline.storage.scratch import scratch
from pipeline.units import Source


class Staging:
    """Of an outlet that hands over a whole unit at a time: a file a source, in a folder of this process."""

    def __init__(self, name: str) -> None:
        """``name``: of the folder, for who finds it in the temporary ones."""
        self._name = name
        self._scratch, self._lock = ExitStack(), threading.Lock()
        self._staging: Path | None = None

    @property
    def staging(self) -> Path | None:
        """A folder of this process, made when first asked for."""
        with self._lock:  # results come from many threads
            if self._staging is None:
                self._staging = self._scratch.enter_context(scratch(self._name))
            return self._staging

    def stage_in(self, folder: Path) -> None:
        """That of another process, which finishes the unit."""
        self._staging = folder

    def waiting(self, source: Source) -> Path:
        """The file in which the result of this source waits."""
        assert self.staging is not None
        return self.staging / source.source_id
