"""Checkpoints in a store: written whole, pointed to last, old ones deleted; half-written ones never read.

A checkpoint is an object ``step-000001000.pt``; ``newest.json`` names those that count, with the SHA-256 of
each. What a kill leaves behind has no line there.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pipeline.errors import JobError, RunStopped
from pipeline.hashing import sha256_hex
from pipeline.recipe.differences import differences
from pipeline.storage.folder import Folder
from pipeline.training.output import unwritable
from pipeline.training.recipe.renamed import with_current_names

POINTER = "newest.json"
RENAMED_STATE = {
    "average": "ema",
    "optimiser": "optimizer",
    "discriminator_optimiser": "discriminator_optimizer",
}
"""Entries of a checkpoint as they were spelt -> their names today."""


@dataclass(frozen=True)
class Entry:
    """One checkpoint."""

    key: str
    step: int
    sha256: str
    size: int
    score: float | None = None
    """The first validation metric, larger is better whatever the metric; ``None`` where there was none."""


class Checkpoints:
    """Those of one run. ``identity`` is what a run must share with a checkpoint to go on from it."""

    def __init__(self, folder: Folder, identity: dict[str, Any], *, keep: int) -> None:
        self._folder, self._identity, self._keep = folder, identity, keep
        self._entries: list[Entry] = []

    @property
    def newest(self) -> Entry | None:
        """The last one that was written whole."""
        return self._entries[-1] if self._entries else None

    @property
    def best(self) -> Entry | None:
        """The one with the best score among those that are there."""
        scored = [entry for entry in self._entries if entry.score is not None]
        return max(scored, key=lambda entry: (entry.score, entry.step), default=None)

    def uri(self, entry: Entry) -> str:
        """Its address."""
        return self._folder.uri(entry.key)

    def check_writable(self) -> None:
        """``StorageError`` where nothing can be written, before any time is spent on training."""
        try:
            self._folder.put("writable", b"")
            self._folder.delete("writable")
        except Exception as error:
            raise unwritable(self._folder, error) from error

    def load(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The newest state, or ``None`` where there is none.

        Raises ``JobError`` with the differences where it is of another recipe or of other data. One that
        lacks bytes is passed over for the one before it.
        """
        if not self._read_pointer():
            return None
        for entry in reversed(self._entries):
            content = self._content(entry)
            if content is not None:
                self._entries = [each for each in self._entries if each.step <= entry.step]
                state: dict[str, Any] = torch.load(
                    io.BytesIO(content), map_location=device, weights_only=True
                )
                return _with_current_names(state)
        raise RunStopped(
            f"{self._folder.url}: none of the checkpoints that {POINTER} names is whole; "
            "delete the folder to start again, or restore it from a copy"
        )

    def load_best(self, device: torch.device | str = "cpu") -> dict[str, Any] | None:
        """The state with the best score, or ``None`` where none is whole."""
        self._read_pointer()  # the first worker's are not known to the others
        content = self._content(self.best) if self.best is not None else None
        if content is None:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        return _with_current_names(state)

    def save(self, state: dict[str, Any], step: int, score: float | None = None) -> Entry:
        """Writes the state, points to it, then deletes what is neither among the newest nor the best."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        entry = Entry(f"step-{step:09d}.pt", step, sha256_hex(content), len(content), score)
        self._folder.put(entry.key, content)
        entries = [each for each in self._entries if each.step < step] + [entry]
        self._entries = entries
        best = self.best
        self._entries = [each for each in entries if each in entries[-self._keep :] or each == best]
        self._write_pointer()
        kept = {each.key for each in self._entries}
        for page in self._folder.pages("step-*.pt"):
            for found in page:
                if found.key not in kept:
                    self._folder.delete(found.key)
        return entry

    def scored(self, step: int, score: float | None) -> None:
        """Notes the score of a checkpoint that was written before it was known."""
        self._entries = [
            Entry(**{**asdict(each), "score": score}) if each.step == step else each for each in self._entries
        ]
        self._write_pointer()

    def _write_pointer(self) -> None:
        content = {"identity": self._identity, "checkpoints": [asdict(each) for each in self._entries]}
        self._folder.put(POINTER, json.dumps(content, indent=1).encode())

    def _read_pointer(self) -> bool:
        if not self._folder.exists(POINTER):
            return False
        content = self._pointed()
        stored = with_current_names(content["identity"])
        if changed := list(differences(stored, json.loads(json.dumps(self._identity)))):
            raise JobError(
                f"{self._folder.url} holds checkpoints of another recipe or of other images:\n"
                + "\n".join(f"  {line}" for line in changed)
                + "\ngive another OUT or FILE, or undo the change to go on"
            )
        self._entries = [Entry(**each) for each in content["checkpoints"]]
        return bool(self._entries)

    def _pointed(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._folder.read(POINTER))
            _ = content["identity"], [Entry(**each) for each in content["checkpoints"]]
        except (ValueError, TypeError, KeyError) as error:
            raise RunStopped(
                f"{self._folder.uri(POINTER)} is damaged, and it says what checkpoints there are; delete "
                "the folder to start again, or restore it from a copy"
            ) from error
        return content

    def _content(self, entry: Entry) -> bytes | None:
        try:
            content = self._folder.read(entry.key)
        except FileNotFoundError:
            return None
        return content if sha256_hex(content) == entry.sha256 else None


def _with_current_names(state: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED_STATE.get(name, name): value for name, value in state.items()}
