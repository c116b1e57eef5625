"""The columns that every row of an image has, whatever becomes of it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import Row
from pipeline.privacy.naming import SourceLocator
from pipeline.recipe.plugins import provenance
from pipeline.units import Source, Unit
from pipeline.version import code_version


@dataclass(frozen=True)
class RowBuilder:
    """``row(source, unit, degradation, restorer)`` names an image, what is done to it, and by whom."""

    run: RunFolder
    locator: SourceLocator
    device: str
    """Of this worker, in words."""

    def __call__(self, source: Source, unit: Unit, degradation: str, restorer: str) -> Row:
        """The row of one combination, finished now."""
        return {
            "dataset": source.dataset,
            "key": source.key,
            "source_id": source.source_id,
            "source_uri": self.locator.public_uri(source),
            "source_bytes": source.size if source.size >= 0 else None,
            "degradation": degradation,
            "restorer": restorer,
            "restorer_sha256": self._digests.get(restorer),
            "recipe_id": self.run.recipe_id,
            "unit_id": unit.unit_id,
            "attempt": unit.attempt,
            "host": socket.gethostname(),
            "device": self.device,
            "code_version": code_version(),
            "plugins": self._plugins,
            "finished_at": datetime.now(UTC),
            **self._carried(source),
        }

    def _carried(self, source: Source) -> Row:
        """What its manifest says that the tables are to have too."""
        names = self._carry[source.dataset] if source.attached else ()
        return dict(zip(names, self.locator.attached(source).labels, strict=True)) if names else {}

    @cached_property
    def _carry(self) -> dict[str, tuple[str, ...]]:
        return {each.name: each.carry for each in self.run.job.datasets}

    @cached_property
    def _plugins(self) -> str | None:
        return provenance(self.run.recipe.plugins, self.run.job)

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {built.name: built.sha256 for built in self.run.recipe.restorers}
